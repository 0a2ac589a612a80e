"""Which trials train together, and how many: as the study file says, or as is measured on the cluster."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from phitune.search.cluster.slots import bundle, words
from phitune.search.study.model import Cell, Study, Together
from phitune.search.study.sections import Resources
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload

# A population must stay small beside a study: what is proposed next does not know the trials in flight.
_SHARE_OF_STUDY = 0.25
# Seconds after which it is said what is being waited for.
_SOON = 10.0


def placed(study: Study, cells: Iterable[Cell], tell: Callable[[str], None]) -> list[Cell]:
    """The cells, with what a trial occupies where trials share it.

    ``auto`` looks on the cluster what pays, on GPUs alone: on CPUs, trials in processes of their own do about as well.

    Args:
        cells: The study's.
        tell: Takes what the user should know, a line each.
    """
    cells = list(cells)
    kinds = Counter((cell.workload, cell.optimizer, cell.resources) for cell in cells)
    most = {kind: int(_SHARE_OF_STUDY * study.trials * count) for kind, count in kinds.items()}
    # All at once, as far as the cluster has room.
    looking = {kind: _looking(study.population, *kind, number) for kind, number in most.items()}
    found = {kind: _found(kind, task, tell) for kind, task in looking.items()}
    return [_together(cell, found[cell.workload, cell.optimizer, cell.resources]) for cell in cells]


def share(resources: Resources, rows: int) -> Resources:
    """What one trial occupies of what so many occupy together: whole units or the k-th part of one, as Ray has them."""
    return Resources(cpu=_part(resources.cpu, rows), gpu=_part(resources.gpu, rows))


def fitting(whole: Resources, part: Resources) -> int:
    """How many trials Ray puts where one trial had the GPU, or the CPUs, to itself.

    Ray knows four places: of parts of 1/300 there are 303.
    """
    name = "GPU" if whole.gpu else "CPU"
    return int(bundle(whole)[name] / bundle(part)[name] + 1e-9)


def _part(amount: float, rows: int) -> float:
    if amount >= rows:
        return float(amount // rows)
    return 1 / math.ceil(rows / amount - 1e-9) if amount else 0.0


def _together(cell: Cell, rows: int) -> Cell:
    if rows == 1:
        return cell
    part = share(cell.resources, rows)
    return replace(cell, resources=part, together=Together(fitting(cell.resources, part), cell.resources))


def _looking(wanted: str | int, spec: Spec, optimizer: Spec, resources: Resources, most: int) -> Any:
    """A task that finds out how many trials of a kind train together; None if that is one without a look."""
    if wanted == "off" or wanted == 1 or (wanted == "auto" and (most < 2 or not 0 < resources.gpu <= 1)):
        return None
    # A GPU of its own: others on it would slow down what is timed.
    look = ray.remote(num_cpus=resources.cpu, num_gpus=math.ceil(resources.gpu), max_retries=0)(_look)
    return look.remote(spec, optimizer, resources.gpu, None if wanted == "auto" else wanted, most)


def _found(kind: tuple[Spec, Spec, Resources], looking: Any, tell: Callable[[str], None]) -> int:
    """How many trials of a kind train together."""
    if looking is None:
        return 1
    spec, optimizer, resources = kind
    name = f"{spec.label} with {optimizer.label}"
    if not ray.wait([looking], timeout=_SOON)[0]:
        tell(f"population: looking, where a node has {words(resources)}, whether trials of {name} train together")
    try:
        rows, told = ray.get(looking)
    except RayError as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        rows, told = 1, f"one at a time: {type(cause).__name__}: {cause}".splitlines()[0]
    tell(f"population: trials of {name} train {told}")
    return int(rows)


def _look(spec: Spec, optimizer: Spec, gpu: float, rows: int | None, most: int) -> tuple[int, str]:
    """Where trials will train, on a part of a GPU or none: how many together, and what is to be said of it."""
    from phitune.trainables.population.eligibility import alone_reason
    from phitune.trainables.population.ramp import ramp
    from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

    built, device = workload(spec), "cuda" if gpu else "cpu"
    if reason := alone_reason(built, optimizer, device):
        return 1, f"one at a time: {reason}"
    if rows is not None:
        return rows, f"{rows} at a time"
    assert isinstance(built, TorchWorkload), "other workloads train alone"
    found = ramp(built, optimizer, device, most, share=gpu)
    if found.rows == 1:
        return 1, "one at a time, together they are no faster"
    return found.rows, f"{found.rows} at a time, {found.gain:.2g} times as fast as one"
