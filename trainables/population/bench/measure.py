"""Timing of a population, and of one trial with its own learner."""

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
from phitune.trainables.training.requests import Step
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}


@dataclass(frozen=True)
class Peak:
    """Peak rates of a device.

    Attributes:
        flops: Floating-point operations a second in a large matrix product.
        bytes: Bytes read and written a second in a large copy.
    """

    flops: float
    bytes: float


@dataclass(frozen=True)
class Timing:
    """Measurements of a round: one step of each of several trials.

    Attributes:
        trials: Number of trials.
        together: Trials that pass through the model at once; fewer where memory is short.
        seconds: Median time of a round.
        timed: Number of rounds that were timed.
        work: Operations and traffic of a round.
        memory: Bytes of device memory a trial; None where they are unknown, as on a CPU.
        convolution: Form of a population's convolutions; None for a trial alone.
    """

    trials: int
    together: int
    seconds: float
    timed: int
    work: Work
    memory: int | None
    convolution: str | None = None


def bench_workload(label: str, noise: bool, precision: str | None = None) -> TorchWorkload:
    """The workload of a label such as ``mlp/digits(batch_size=64)``.

    Args:
        label: The label.
        noise: Whether to train on noise in place of a published data set's images.
        precision: ``fp32``, ``bf16`` or ``fp64``; None for the workload's.

    Raises:
        InputError: There is no such workload, or it has no network.
    """
    spec = Spec.parse(label)
    if precision is not None:
        spec = Spec.of({"name": spec.name, **spec.params, "precision": precision})
    bench = synthetic(spec) if noise else workload(spec)
    if not isinstance(bench, TorchWorkload):
        raise InputError(f"bench: {label} is not allowed; its trials have no networks to train at once")
    return bench


def peak(workload: TorchWorkload, device: str, seconds: float) -> Peak:
    """Peak rates of the device in the workload's precision."""
    return Peak(matrix_rate(device, _KINDS[workload.recipe.precision], seconds), copy_rate(device, seconds))


def alone(workload: TorchWorkload, optimizer: Spec, device: str, seconds: float) -> Timing:
    """Times one trial with its own learner.

    Args:
        workload: The trial's workload.
        optimizer: The trial's optimizer.
        device: A torch device.
        seconds: About how long to time it.

    Raises:
        SurroundingsError: There is no memory for the trial.
    """
    lr = workload.base_lr[optimizer.name][0]
    try:
        before = _memory_before(workload, device)
        learner = workload.learner(optimizer, 0, workload.full_budget, device)
        return _round(lambda: learner.step(lr), 1, before, device, seconds)
    except torch.OutOfMemoryError as error:
        raise SurroundingsError("the device has no memory for a single trial") from error


def together(
    workload: TorchWorkload, optimizer: Spec, rows: int, device: str, seconds: float, convolution: str | None = None
) -> Timing:
    """Times ``rows`` trials in a population.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        rows: Number of trials.
        device: A torch device.
        seconds: About how long to time them.
        convolution: See `trainables.population.rows.stack.Stack`.

    Raises:
        torch.OutOfMemoryError: There is no memory for them, even if they pass through the model one by one.
        ValueError: The optimizer trains one network at a time.
    """
    before = _memory_before(workload, device)
    population = Population(workload, optimizer, rows, device, convolution)
    requests = {population.enter(seed): Step(workload.base_lr[optimizer.name][0], None) for seed in range(rows)}

    def step() -> None:
        for loss in population.step(requests):
            if isinstance(loss, Exception):
                raise loss

    timing = _round(step, rows, before, device, seconds)
    return replace(timing, together=population.stack.width, convolution=population.stack.convolution)


def figures(one: Timing, many: Timing, most: Peak) -> dict[str, Any]:
    """One row of the table, by column.

    Args:
        one: A trial alone; each of many is taken to need its floating-point operations.
        many: The row's trials.
        most: Peak rates of the device.
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


def _round(step: Callable[[], object], trials: int, before: int, device: str, seconds: float) -> Timing:
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    median, timed = clocked(step, device, seconds)
    memory = (torch.cuda.max_memory_allocated(device) - before) // trials if cuda else None
    return Timing(trials, trials, median, timed, work(step), memory)


def _memory_before(workload: TorchWorkload, device: str) -> int:
    """Bytes of device memory in use by the data, before there is a trial."""
    workload.batch(0, 0, device)
    # A population and its members refer to each other.
    gc.collect()
    if torch.device(device).type != "cuda":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(device)
