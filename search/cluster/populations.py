"""How many trials of each kind train together: set by the study file, or measured on the cluster."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from phitune.search.cluster.slots import bundle, words
from phitune.search.study.cell import Cell, Together
from phitune.search.study.model import Study
from phitune.search.study.sections import Resources
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.function import OWN_OPTIMIZER

# A population must be a small part of a study: proposals do not know the results of trials in flight.
_SHARE_OF_STUDY = 0.25
# Seconds after which a line says what the search waits for.
_SOON = 10.0


def placed(study: Study, cells: Iterable[Cell], say: Callable[[str], None]) -> list[Cell]:
    """The cells, each with its population if its trials train together.

    ``auto`` measures on the cluster what pays, on GPUs alone: on CPUs, trials in separate processes do about as well.

    Args:
        cells: The study's.
        say: Called with each line for the user.
    """
    cells = list(cells)
    kinds = Counter((cell.workload, cell.optimizer, cell.resources) for cell in cells)
    most = {kind: int(_SHARE_OF_STUDY * study.most * count) for kind, count in kinds.items()}
    # All at once, as far as the cluster has room.
    tasks = {kind: _measurement(study.population, *kind, number) for kind, number in most.items()}
    rows = {kind: _rows(kind, task, say) for kind, task in tasks.items()}
    return [_together(cell, rows[cell.workload, cell.optimizer, cell.resources]) for cell in cells]


def share(resources: Resources, rows: int) -> Resources:
    """The part of ``resources`` for each of ``rows`` trials: whole units, or the k-th part of one as Ray requires."""
    return Resources(cpu=_part(resources.cpu, rows), gpu=_part(resources.gpu, rows))


def fitting(whole: Resources, part: Resources) -> int:
    """How many trials Ray places on the resources of one.

    Ray rounds to four decimals: of parts of 1/300 it fits 303.
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


def _measurement(population: str | int, spec: Spec, optimizer: Spec, resources: Resources, most: int) -> Any:
    """A Ray task that finds how many trials of a kind train together; None where it is one without measuring."""
    alone = population == "off" or population == 1 or optimizer == OWN_OPTIMIZER
    if alone or (population == "auto" and (most < 2 or not 0 < resources.gpu <= 1)):
        return None
    # A whole GPU: other work on it would slow down what is timed.
    measure = ray.remote(num_cpus=resources.cpu, num_gpus=math.ceil(resources.gpu), max_retries=0)(_measure)
    return measure.remote(spec, optimizer, resources.gpu, None if population == "auto" else population, most)


def _rows(kind: tuple[Spec, Spec, Resources], task: Any, say: Callable[[str], None]) -> int:
    """How many trials of a kind train together."""
    if task is None:
        return 1
    spec, optimizer, resources = kind
    name = f"{spec.label} with {optimizer.label}"
    if not ray.wait([task], timeout=_SOON)[0]:
        say(f"population: looking, where a node has {words(resources)}, whether trials of {name} train together")
    try:
        rows, outcome = ray.get(task)
    except RayError as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        rows, outcome = 1, f"one at a time: {type(cause).__name__}: {cause}".splitlines()[0]
    say(f"population: trials of {name} train {outcome}")
    return int(rows)


def _measure(spec: Spec, optimizer: Spec, gpu: float, rows: int | None, most: int) -> tuple[int, str]:
    """Runs where trials will train: how many train together, and the words for it."""
    from phitune.trainables.population.eligibility import alone_reason
    from phitune.trainables.population.ramp import ramp
    from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

    built, device = workload(spec), "cuda" if gpu else "cpu"
    if reason := alone_reason(built, optimizer, device):
        return 1, f"one at a time: {reason}"
    if rows is not None:
        return rows, f"{rows} at a time"
    assert isinstance(built, TorchWorkload), "other workloads train alone"
    best = ramp(built, optimizer, device, most, share=gpu)
    if best.rows == 1:
        return 1, "one at a time, together they are no faster"
    return best.rows, f"{best.rows} at a time, {best.gain:.2g} times as fast as one"
