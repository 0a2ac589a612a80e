"""How many trials to train together: as many as still pay, by measurement."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from phitune.trainables.memory import out_of_memory
from phitune.trainables.population.population import Population, given
from phitune.trainables.population.rates import clocked
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads.torch.torch_workload import TorchWorkload

# A population that trains less than so many times what one trial does is not worth its processes.
WORTH = 1.2
# Twice the trials that train less than so many times as much only wait for each other.
_STILL_PAYS = 1.15
# Part of the GPU's memory for them that the weights, and what a step takes, may fill.
_MEMORY = 0.8
_SECONDS = 0.5


@dataclass(frozen=True)
class Ramp:
    """What was measured.

    Attributes:
        rows: How many trials to train together; 1 if together they train no better than one after another.
        gain: Steps a second at that, as a multiple of one trial's alone.
        tried: Steps a second of all trials, by their number.
    """

    rows: int
    gain: float
    tried: dict[int, float]


def ramp(workload: TorchWorkload, optimizer: Spec, device: str, most: int, share: float = 1.0) -> Ramp:
    """Doubles the number of trials for as long as it pays and there is memory.

    Args:
        workload: Whose trials they are; there must be no obstacle to their training together.
        optimizer: Theirs.
        device: A torch device, which nobody else uses meanwhile.
        most: The most trials.
        share: Share of the device's memory that they may have.
    """
    lone = workload.learner(optimizer, 0, 1, device)
    alone = 1 / clocked(lambda: lone.step(0.0), device, _SECONDS)[0]
    tried: dict[int, float] = {}
    rows = 2
    while rows <= most:
        try:
            tried[rows] = rows / _step(workload, optimizer, rows, device)
        except Exception as error:
            if not out_of_memory(error):
                raise
            break
        if tried[rows] < _STILL_PAYS * tried.get(rows // 2, 0.0) or 2 * _memory(device, share) > _MEMORY:
            break
        rows *= 2
    best = max(tried, key=lambda number: tried[number], default=1)
    gain = tried.get(best, alone) / alone
    return Ramp(best if gain >= WORTH else 1, gain if gain >= WORTH else 1.0, tried)


def _step(workload: TorchWorkload, optimizer: Spec, rows: int, device: str) -> float:
    """Seconds of a step of so many trials.

    Raises:
        torch.OutOfMemoryError: They do not pass together.
        Exception: One of them cannot step.
    """
    # A population and its members refer to each other; those of the last try still hold memory.
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    population = Population(workload, optimizer, rows, device)
    asked = {population.enter(seed): Step(0.0, None) for seed in range(rows)}
    seconds, _ = clocked(lambda: [given(loss) for loss in population.step(asked)], device, _SECONDS)
    if population.stack.width < rows:
        raise torch.OutOfMemoryError(f"{rows} trials do not pass together")
    return seconds


def _memory(device: str, share: float) -> float:
    """Part that was in use at most of the memory that there is for the trials; 0 on a CPU.

    That is their share of what other processes on the device leave.
    """
    if torch.device(device).type != "cuda":
        return 0.0
    free, _ = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_allocated(device) / (share * (free + torch.cuda.memory_reserved(device)))
