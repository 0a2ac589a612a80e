"""Measures how many trials to train together: doubles them for as long as that pays."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from phitune.trainables.errors import out_of_memory
from phitune.trainables.population.population import Population, value_of
from phitune.trainables.population.rates import clocked
from phitune.trainables.spec import Spec
from phitune.trainables.training.requests import Step
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

# Least speed-up over one trial alone for which a population is worth its processes.
LEAST_GAIN = 1.2
# Least speed-up from doubling the trials; with less they only wait for each other.
_LEAST_GAIN_OF_DOUBLING = 1.15
# Largest part of the trials' share of GPU memory that their weights and a step may take.
_MEMORY = 0.8
_SECONDS = 0.5


@dataclass(frozen=True)
class Ramp:
    """Result of `ramp`.

    Attributes:
        rows: Number of trials to train together; 1 if together they are no faster than one after another.
        gain: Steps a second with so many, as a multiple of one trial's alone.
        rates: Steps a second of all trials together, by the number of trials that was timed.
    """

    rows: int
    gain: float
    rates: dict[int, float]


def ramp(workload: TorchWorkload, optimizer: Spec, device: str, most: int, share: float = 1.0) -> Ramp:
    """Doubles the number of trials for as long as it pays and there is memory.

    Args:
        workload: The trials' workload, for which `alone_reason` is empty.
        optimizer: The trials' optimizer.
        device: A torch device that is otherwise idle.
        most: Largest number of trials.
        share: Share of the device's memory for the trials.
    """
    learner = workload.learner(optimizer, 0, 1, device)
    rate_alone = 1 / clocked(lambda: learner.step(0.0), device, _SECONDS)[0]
    rates: dict[int, float] = {}
    rows = 2
    while rows <= most:
        try:
            rates[rows] = rows / _step(workload, optimizer, rows, device)
        except Exception as error:
            if not out_of_memory(error):
                raise
            break
        if rates[rows] < _LEAST_GAIN_OF_DOUBLING * rates.get(rows // 2, 0.0) or 2 * _memory(device, share) > _MEMORY:
            break
        rows *= 2
    best = max(rates, key=lambda number: rates[number], default=1)
    gain = rates.get(best, rate_alone) / rate_alone
    return Ramp(best if gain >= LEAST_GAIN else 1, gain if gain >= LEAST_GAIN else 1.0, rates)


def _step(workload: TorchWorkload, optimizer: Spec, rows: int, device: str) -> float:
    """Seconds of one step of ``rows`` trials together.

    Raises:
        torch.OutOfMemoryError: There is no memory for them all at once.
        Exception: One of them cannot step.
    """
    # A population and its members refer to each other; the previous one still holds memory.
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    population = Population(workload, optimizer, rows, device)
    requests = {population.enter(seed): Step(0.0, None) for seed in range(rows)}
    seconds, _ = clocked(lambda: [value_of(loss) for loss in population.step(requests)], device, _SECONDS)
    if population.stack.width < rows:
        raise torch.OutOfMemoryError(f"{rows} trials do not fit together")
    return seconds


def _memory(device: str, share: float) -> float:
    """Peak memory in use, as a part of the memory for the trials; 0 on a CPU.

    The memory for the trials is their share of what other processes on the device leave free.
    """
    if torch.device(device).type != "cuda":
        return 0.0
    free, _ = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_allocated(device) / (share * (free + torch.cuda.memory_reserved(device)))
