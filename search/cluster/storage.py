"""Whether the nodes of a cluster share the folder of a study's checkpoints; checked before the first trial."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from phitune.search.cluster.nodes import living
from phitune.search.cluster.slots import places
from phitune.search.study.model import Study
from phitune.trainables.errors import InputError
from phitune.trainables.training.checkpoint import try_beside

# Seconds to wait for the nodes' answers. A node that does not answer is ignored: it may be about to leave.
_PATIENCE = 30.0


def require_storage(study: Study, folder: Path) -> str:
    """Writes to the checkpoint folder from every living node that can hold a trial.

    Args:
        folder: The folder of the study's checkpoints; created.

    Returns:
        A warning for the user if the nodes do not share it; empty if they do.

    Raises:
        InputError: It cannot be written on this machine or on a node.
    """
    folder = folder.resolve()
    mark = folder / f".mark.{uuid.uuid4().hex}"
    shared = True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
        for node, (seen, trouble) in _answers(study, mark):
            if trouble:
                raise _unwritable(folder, f" on the node {_name(node)} ({trouble})")
            shared = shared and seen
    except OSError as error:
        raise _unwritable(folder, f" ({error.strerror})") from error
    finally:
        with suppress(OSError):
            mark.unlink()
    if shared:
        return ""
    return (
        f"checkpoints of trials stay on their machines: {folder} is not shared storage; "
        "a trial whose machine dies starts again"
    )


def _answers(study: Study, mark: Path) -> Iterator[tuple[dict[str, Any], tuple[bool, str]]]:
    kinds = {cell.resources.model_copy(update={"nodes": 1}) for cell in study.cells}
    tasks = {
        ray.remote(num_cpus=0, max_retries=0)(try_beside)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote(mark): node
        for node in living()
        if any(places(kind, [node["Resources"]]) for kind in kinds)
    }
    if not tasks:
        return
    answered, silent = ray.wait([*tasks], num_returns=len(tasks), timeout=_PATIENCE)
    for task in silent:
        ray.cancel(task, force=True)
    for task in answered:
        try:
            yield tasks[task], ray.get(task)
        except RayError:
            continue


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} at {node['NodeManagerAddress']}"


def _unwritable(folder: Path, why: str) -> InputError:
    return InputError(f"--out: {str(folder)!r} cannot be written{why}")
