"""The search space of a cell: family, its parameters and the LR.

The LR is searched as *mean* LR (base LR × mean of the profile), in which the optimum hardly moves with
φ, and recorded as base LR. A proposal whose base LR falls outside the cell's range is taken at the range's
end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import product

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from scipy.stats import qmc

from phitune.search.study.families import FamilySpace
from phitune.search.study.model import Cell
from phitune.trainables.schedules import Schedule

Values = dict[str, float]
Ranges = Mapping[str, FloatDistribution]


@dataclass(frozen=True)
class Point:
    """One configuration: a schedule, its base LR and the resulting mean LR."""

    schedule: Schedule
    base_lr: float
    mean_lr: float


def distributions(space: FamilySpace, cell: Cell) -> dict[str, FloatDistribution]:
    """The searched dimensions of a family in a cell: its parameters and its mean LR, log-uniform.

    Optuna's names are prefixed by the family's label (``uba.phi``, ``uba.mean_lr``).
    """
    ranges = {key: (parameter.low, parameter.high) for key, parameter in space.searched.items()}
    ranges["mean_lr"] = _mean_lr_range(space, cell)
    return {f"{space.label}.{key}": FloatDistribution(low, high, log=True) for key, (low, high) in ranges.items()}


def point(space: FamilySpace, cell: Cell, values: Mapping[str, float]) -> Point:
    """The configuration for values of `distributions`."""
    schedule = space.schedule(**{key: values[f"{space.label}.{key}"] for key in space.searched})
    mean = schedule.mean(cell.budget)
    base_lr = float(np.clip(values[f"{space.label}.mean_lr"] / mean, *cell.base_lr))
    return Point(schedule, base_lr, base_lr * mean)


def values_of(space: FamilySpace, ranges: Ranges, schedule: Mapping[str, float], mean_lr: float) -> Values:
    """The values for a schedule and mean LR, perhaps of another cell: clipped to the ranges of `distributions`."""
    values = {**{key: float(schedule[key]) for key in space.searched}, "mean_lr": mean_lr}
    named = {f"{space.label}.{key}": value for key, value in values.items()}
    return {name: min(max(value, ranges[name].low), ranges[name].high) for name, value in named.items()}


def quasi_random(space: FamilySpace, cell: Cell, ranges: Ranges, count: int, seed: int) -> list[Values]:
    """A scrambled Sobol start for one family of a cell, as values within the ranges of `distributions`.

    Uniform in (log parameters, log base LR), which is uniform in (log parameters, log mean LR) over
    exactly the base LRs that are allowed. A longer start begins with the shorter one.
    """
    unit = _sobol(len(space.searched) + 1, count, stable_seed(seed, cell.key, space.label))
    points = []
    for row in unit:
        parameters = {
            key: _log_uniform(u, parameter.low, parameter.high)
            for u, (key, parameter) in zip(row, space.searched.items(), strict=False)
        }
        base_lr = _log_uniform(row[-1], *cell.base_lr)
        mean_lr = base_lr * space.schedule(**parameters).mean(cell.budget)
        points.append(values_of(space, ranges, parameters, mean_lr))
    return points


def family_order(families: Sequence[FamilySpace], trials: int) -> list[FamilySpace]:
    """The family of each of a cell's explore trials; more trials go on where fewer end.

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
    """Range of the mean LR over all allowed base LRs and parameters; the corners suffice, as means are monotone."""
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
