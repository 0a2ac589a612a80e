"""Ray Train inside a trial, which would wait for ever: one clear line instead."""

from __future__ import annotations

from ray.train.v2._internal.execution.callback import RayTrainCallback


class Refusal(RayTrainCallback):  # type: ignore[misc]
    """Ends a trainer before it has begun.

    Ray Train (2.60) places its workers in a placement group of its own, never in the trial's. Where trials fill the
    cluster it gets none, and by default it asks again without end.
    """

    def __init__(self) -> None:
        raise RuntimeError(
            "a Ray Train trainer with workers does not train inside a trial, whose resources it cannot use; "
            "use phitune.spawn, with resources.nodes for several machines (docs/how-to/train/several-gpus.md)"
        )
