"""The dimensions of a cell's Optuna study, and the configurations that their values stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from phitune.analysis.surrogate.space import Configurations, Family, Space
from phitune.search.study.cell import Cell
from phitune.search.study.families import FamilySpace
from phitune.trainables.schedules import Schedule

FAMILY = "family"
Values = dict[str, str | float]


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


def all_distributions(cell: Cell) -> dict[str, BaseDistribution]:
    """The dimensions of a cell: the family, and those of every family. A trial has those of its own alone."""
    families: dict[str, BaseDistribution] = {FAMILY: CategoricalDistribution([space.label for space in cell.families])}
    return families | {name: each for space in cell.families for name, each in distributions(space, cell).items()}


def point(space: FamilySpace, cell: Cell, values: Mapping[str, float]) -> Point:
    """The configuration for values of `distributions`."""
    schedule = space.schedule(**{key: values[f"{space.label}.{key}"] for key in space.searched})
    mean = schedule.mean(cell.budget)
    base_lr = float(np.clip(values[f"{space.label}.mean_lr"] / mean, *cell.base_lr))
    return Point(schedule, base_lr, base_lr * mean)


def surrogate_space(cell: Cell) -> Space:
    """The cell's configurations as the surrogate sees them."""
    families = [_Built(space) for space in cell.families]
    low, high = cell.base_lr
    return Space(
        [Family(each.space.label, len(each.space.searched), each) for each in families],
        cell.budget,
        (math.log(low), math.log(high)),
    )


def values_at(cell: Cell, at: Configurations, row: int) -> Values:
    """The values of `distributions`, and the family, of one configuration of `surrogate_space`."""
    space = cell.families[at.family[row]]
    parameters = parameters_at(space, at.unit[row])
    mean_lr = math.exp(at.log_lr[row]) * space.schedule(**parameters).mean(cell.budget)
    low, high = _mean_lr_range(space, cell)
    named = {**parameters, "mean_lr": min(max(mean_lr, low), high)}
    return {FAMILY: space.label, **{f"{space.label}.{key}": value for key, value in named.items()}}


def stable_seed(*parts: object) -> int:
    """A 31-bit seed from any values, the same in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest(), "big") >> 1


@dataclass(frozen=True)
class _Built:
    """Makes a family's schedule from its parameters' places in their ranges."""

    space: FamilySpace

    def __call__(self, unit: NDArray[np.float64]) -> Schedule:
        return self.space.schedule(**parameters_at(self.space, unit))


def parameters_at(space: FamilySpace, unit: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """A family's searched parameters, from their places in their ranges."""
    return {
        key: _log_uniform(float(u), parameter.low, parameter.high)
        for u, (key, parameter) in zip(unit, space.searched.items(), strict=False)
    }


def _mean_lr_range(space: FamilySpace, cell: Cell) -> tuple[float, float]:
    """Range of the mean LR over all allowed base LRs and parameters; the corners suffice, as means are monotone.

    A spline's mean is not: with one parameter searched alone it may reach some per cent beyond.
    """
    ends = [[(key, parameter.low), (key, parameter.high)] for key, parameter in space.searched.items()]
    means = [space.schedule(**dict(corner)).mean(cell.budget) for corner in product(*ends)]
    return cell.base_lr[0] * min(means), cell.base_lr[1] * max(means)


def _log_uniform(u: float, low: float, high: float) -> float:
    return min(max(math.exp(math.log(low) + u * math.log(high / low)), low), high)
