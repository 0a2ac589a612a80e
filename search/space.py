"""What a trial may be: a conditional space over family, its parameters and the LR.

The LR is searched as *mean* LR (base LR × mean of the profile), in which the optimum hardly moves with
φ, and recorded as base LR. A proposal whose base LR falls outside the cell's range is taken at the range's
end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import product

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.stats import qmc

from search.families import FamilySpace
from search.study import Cell
from trainables.schedules import Schedule


@dataclass(frozen=True)
class Point:
    """One configuration: a schedule, its base LR and the mean LR that follows."""

    schedule: Schedule
    base_lr: float
    mean_lr: float


def suggest(trial: optuna.Trial, cell: Cell) -> tuple[FamilySpace, Point]:
    """Define-by-run: family first, then that family's own parameters and its mean LR.

    Optuna's names are prefixed by the family's label (``uba.phi``, ``uba.mean_lr``), so that its sampler
    models each family jointly and apart from the others.
    """
    label = trial.suggest_categorical("family", [space.label for space in cell.families])
    space = next(space for space in cell.families if space.label == label)
    parameters = {
        key: trial.suggest_float(f"{label}.{key}", parameter.low, parameter.high, log=True)
        for key, parameter in space.searched.items()
    }
    chosen = space.schedule(**parameters)
    mean_lr = trial.suggest_float(f"{label}.mean_lr", *_mean_lr_range(space, cell), log=True)
    base_lr = float(np.clip(mean_lr / chosen.mean(cell.budget), *cell.base_lr))
    return space, Point(chosen, base_lr, base_lr * chosen.mean(cell.budget))


def quasi_random(space: FamilySpace, cell: Cell, count: int, seed: int) -> list[dict[str, float | str]]:
    """A scrambled Sobol start for one family of a cell, as fixed values for Optuna's `enqueue_trial`.

    Uniform in (log parameters, log base LR), which is uniform in (log parameters, log mean LR) over
    exactly the base LRs that are allowed.
    """
    unit = _sobol(len(space.searched) + 1, count, stable_seed(seed, cell.key, space.label))
    low, high = _mean_lr_range(space, cell)
    points: list[dict[str, float | str]] = []
    for row in unit:
        parameters = {
            key: _log_uniform(u, parameter.low, parameter.high)
            for u, (key, parameter) in zip(row, space.searched.items(), strict=False)
        }
        base_lr = _log_uniform(row[-1], *cell.base_lr)
        mean_lr = min(max(base_lr * space.schedule(**parameters).mean(cell.budget), low), high)
        point: dict[str, float | str] = {f"{space.label}.{key}": value for key, value in parameters.items()}
        points.append({"family": space.label, **point, f"{space.label}.mean_lr": mean_lr})
    return points


def family_order(families: Sequence[FamilySpace], trials: int) -> list[FamilySpace]:
    """The family of each of a cell's explore trials.

    Shares are proportional to 1 + 4 × the number of the family's searched parameters (a plane needs more trials
    than a line), spread evenly, so that every family has its share however early a study is interrupted.
    """
    weights = [1 + 4 * len(space.searched) for space in families]
    counts = [1] * len(families)
    order = list(range(len(families)))
    while len(order) < trials:
        # Webster's method of apportionment: the next goes to the largest weight ÷ (2 × count + 1).
        following = max(range(len(families)), key=lambda i: weights[i] / (2 * counts[i] + 1))
        counts[following] += 1
        order.append(following)
    return [families[index] for index in order]


def stable_seed(*parts: object) -> int:
    """A 31-bit seed from any values, the same in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest(), "big") >> 1


def _mean_lr_range(space: FamilySpace, cell: Cell) -> tuple[float, float]:
    """The mean LRs that some allowed base LR and parameters give: corners suffice, means are monotone."""
    ends = [[(key, parameter.low), (key, parameter.high)] for key, parameter in space.searched.items()]
    means = [space.schedule(**dict(corner)).mean(cell.budget) for corner in product(*ends)]
    return cell.base_lr[0] * min(means), cell.base_lr[1] * max(means)


def _log_uniform(u: float, low: float, high: float) -> float:
    return min(max(math.exp(math.log(low) + u * math.log(high / low)), low), high)


@cache
def _sobol(dimensions: int, count: int, seed: int) -> NDArray[np.float64]:
    """The first ``count`` points of a scrambled Sobol sequence, [count, dimensions]."""
    if count == 0:
        return np.empty((0, dimensions))
    sampler = qmc.Sobol(dimensions, scramble=True, rng=seed)
    return sampler.random_base2(max(0, math.ceil(math.log2(count))))[:count]
