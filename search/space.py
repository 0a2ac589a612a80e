"""What a trial may be: a conditional space over family, its parameters and the LR.

The LR is searched as *mean* LR (base LR × mean of the profile), in which the optimum hardly moves with
φ, and recorded as base LR. A proposal whose base LR falls outside the cell's range is taken at the range's
end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from hashlib import blake2b

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.stats import qmc

from search.study import Cell, Study
from trainables.schedules import Parameter, Schedule, family, schedule


@dataclass(frozen=True)
class Point:
    """One configuration: a schedule and its base LR."""

    schedule: Schedule
    base_lr: float

    @property
    def mean_lr(self) -> float:
        return self.base_lr * self.schedule.mean


def searched(name: str, study: Study) -> dict[str, Parameter]:
    """The parameters of a family that a study varies, with the study's ranges."""
    ranges = {key: getattr(study.space, key) for key in type(study.space).model_fields if key != "base_lr"}
    return {
        key: Parameter(*ranges[key]) if key in ranges else default for key, default in family(name).parameters.items()
    }


def suggest(trial: optuna.Trial, study: Study, cell: Cell) -> Point:
    """Define-by-run: family first, then that family's own parameters and its mean LR.

    Optuna's names are prefixed by the family (``uba.phi``, ``uba.mean_lr``), so that its sampler
    models each family jointly and apart from the others.
    """
    name = trial.suggest_categorical("family", study.families)
    ranges = searched(name, study)
    parameters = {
        key: trial.suggest_float(f"{name}.{key}", parameter.low, parameter.high, log=True)
        for key, parameter in ranges.items()
    }
    chosen = schedule(name, **parameters)
    low, high = _mean_lr_range(name, ranges, cell)
    mean_lr = trial.suggest_float(f"{name}.mean_lr", low, high, log=True)
    return Point(chosen, float(np.clip(mean_lr / chosen.mean, *cell.base_lr)))


def quasi_random(name: str, study: Study, cell: Cell, count: int) -> list[dict[str, float | str]]:
    """A scrambled Sobol start for one family of a cell, as fixed values for Optuna's `enqueue_trial`.

    Uniform in (log parameters, log base LR), which is uniform in (log parameters, log mean LR) over
    exactly the base LRs that are allowed.
    """
    ranges = searched(name, study)
    unit = _sobol(len(ranges) + 1, count, stable_seed(study.seed, cell.key, name))
    low, high = _mean_lr_range(name, ranges, cell)
    points: list[dict[str, float | str]] = []
    for row in unit:
        parameters = {
            key: _log_uniform(u, parameter.low, parameter.high)
            for u, (key, parameter) in zip(row, ranges.items(), strict=False)
        }
        base_lr = _log_uniform(row[-1], *cell.base_lr)
        mean_lr = min(max(base_lr * schedule(name, **parameters).mean, low), high)
        point: dict[str, float | str] = {f"{name}.{key}": value for key, value in parameters.items()}
        points.append({"family": name, **point, f"{name}.mean_lr": mean_lr})
    return points


def family_order(study: Study) -> list[str]:
    """The family of each of a cell's ``trials`` explore trials.

    Shares are proportional to 1 + 4 × the number of the family's searched parameters (a plane needs more trials
    than a line), spread evenly, so that every family has its share however early a study is interrupted.
    """
    weights = {name: 1 + 4 * len(family(name).parameters) for name in study.families}
    counts = dict.fromkeys(study.families, 1)
    order = list(study.families)
    while len(order) < study.trials:
        # Webster's method of apportionment: the next goes to the largest weight ÷ (2 × count + 1).
        following = max(counts, key=lambda name: weights[name] / (2 * counts[name] + 1))
        counts[following] += 1
        order.append(following)
    return order


def stable_seed(*parts: object) -> int:
    """A 31-bit seed from any values, the same in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest(), "big") >> 1


def parameters_of(chosen: Schedule) -> Mapping[str, float]:
    """The family's parameters by name."""
    return {f.name: getattr(chosen, f.name) for f in fields(chosen)}


def _mean_lr_range(name: str, ranges: Mapping[str, Parameter], cell: Cell) -> tuple[float, float]:
    """The mean LRs that some allowed base LR and parameters give: corners suffice, means are monotone."""
    corners: list[dict[str, float]] = [{}]
    for key, parameter in ranges.items():
        corners = [{**corner, key: value} for corner in corners for value in (parameter.low, parameter.high)]
    means = [schedule(name, **corner).mean for corner in corners]
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
