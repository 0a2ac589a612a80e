"""How fast a population trains, against one trial with a learner of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from phitune.trainables.errors import InputError, SurroundingsError
from phitune.trainables.population.bench.synthetic import synthetic
from phitune.trainables.population.population import Population
from phitune.trainables.population.rates import Work, clocked, copy_rate, matrix_rate, work
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads import workload as found_workload
from phitune.trainables.workloads.torch.torch_workload import TorchWorkload

_KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}


@dataclass(frozen=True)
class Peak:
    """What was measured of a device: operations a second in a large matrix product, bytes a second in a copy."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class Round:
    """One step of each of some trials.

    Attributes:
        trials: How many.
        together: How many passed through the model at once; fewer where memory was short.
        seconds: The median.
        timed: Rounds that were timed.
        work: Asked of the device by the round.
        memory: Bytes of the device that a trial needs; None where that is not known, as on a CPU.
        convolution: The form of a population's convolutions.
    """

    trials: int
    together: int
    seconds: float
    timed: int
    work: Work
    memory: int | None
    convolution: str | None = None


def made_workload(label: str, made_up: bool, precision: str | None = None) -> TorchWorkload:
    """The workload of a label such as ``mlp/digits(batch_size=64)``.

    Args:
        made_up: Whether its images are noise.
        precision: None for the workload's.

    Raises:
        InputError: There is none such, or it has no network.
    """
    spec = Spec.parse(label)
    if precision is not None:
        spec = Spec.of({"name": spec.name, **spec.params, "precision": precision})
    found = synthetic(spec) if made_up else found_workload(spec)
    if not isinstance(found, TorchWorkload):
        raise InputError(f"bench: {label} is not allowed; its trials have no networks to train at once")
    return found


def peak(workload: TorchWorkload, device: str, seconds: float) -> Peak:
    """What the device does at most, in the workload's precision."""
    return Peak(matrix_rate(device, _KINDS[workload.recipe.precision], seconds), copy_rate(device, seconds))


def alone(workload: TorchWorkload, optimizer: Spec, device: str, seconds: float) -> Round:
    """A trial with a learner of its own.

    Args:
        seconds: To time for, about.

    Raises:
        SurroundingsError: There is no memory for it.
    """
    lr = workload.base_lr[optimizer.name][0]
    try:
        before = _held(workload, device)
        learner = workload.learner(optimizer, 0, workload.full_budget, device)
        return _round(lambda: learner.step(lr), 1, before, device, seconds)
    except torch.OutOfMemoryError as error:
        raise SurroundingsError("the device has no memory for a single trial") from error


def together(
    workload: TorchWorkload, optimizer: Spec, rows: int, device: str, seconds: float, convolution: str | None = None
) -> Round:
    """As many trials in a population.

    Args:
        seconds: To time for, about.
        convolution: See `trainables.population.rows.stack.Stack`.

    Raises:
        torch.OutOfMemoryError: There is no memory for them, not even where one passes after the other.
        ValueError: The optimizer trains one network at a time.
    """
    before = _held(workload, device)
    population = Population(workload, optimizer, rows, device, convolution)
    wanted = {population.enter(seed): Step(workload.base_lr[optimizer.name][0], None) for seed in range(rows)}

    def step() -> None:
        for loss in population.step(wanted):
            if isinstance(loss, Exception):
                raise loss

    found = _round(step, rows, before, device, seconds)
    return replace(found, together=population.stack.width, convolution=population.stack.convolution)


def figures(one: Round, many: Round, most: Peak) -> dict[str, Any]:
    """What a row of the table says.

    Args:
        one: A trial alone, whose floating-point operations each of many is held to need.
        many: What the row is about.
        most: Of the device.
    """
    return {
        "k": many.trials,
        "together": many.together,
        "convolution": many.convolution,
        "rounds": many.timed,
        "ms_a_round": 1e3 * many.seconds,
        "ms_a_step": 1e3 * many.seconds / many.trials,
        "steps_a_second": many.trials / many.seconds,
        "over_alone": one.seconds * many.trials / many.seconds,
        "mib_a_trial": None if many.memory is None else many.memory / 2**20,
        "matrix_share": one.work.flops * many.trials / many.seconds / most.flops,
        "copy_share": many.work.bytes / many.seconds / most.bytes,
    }


def _round(step: Callable[[], object], trials: int, before: int, device: str, seconds: float) -> Round:
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    median, timed = clocked(step, device, seconds)
    memory = (torch.cuda.max_memory_allocated(device) - before) // trials if cuda else None
    return Round(trials, trials, median, timed, work(step), memory)


def _held(workload: TorchWorkload, device: str) -> int:
    """Bytes that the device holds before a trial is there, but with its data."""
    workload.batch(0, 0, device)
    # A population and its members refer to each other.
    gc.collect()
    if torch.device(device).type != "cuda":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(device)
