"""The best base LR and parameters of a schedule family."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from benchmarks.optimum.recursion import Floats, log_loss, log_losses
from phitune.trainables.schedules import Schedule, schedule
from phitune.trainables.workloads.exact import Problem

_LEAST_LR = 1e-5
_STEP = 1e-5
_STARTS = 128
_DESCENTS = 3
# What is best for the optimum may be too large a mean LR for a family.
_LR_FACTORS = (1.0, 0.6, 0.3)


@dataclass(frozen=True)
class Contender:
    """A family whose base LR and parameters are chosen for each problem and budget.

    Attributes:
        family: Its name.
        ranges: Of the parameters that are chosen, on a log scale; wider than a study's, so that they do not bind.
        known: Parameters from which to start besides quasi-random ones, such as those that make it another family.
    """

    family: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    known: tuple[Mapping[str, float], ...] = ()


_SPLINE = {"time1": (0.01, 0.99), "lr1": (1e-3, 1.0), "time2": (0.01, 0.99), "lr2": (1e-3, 1.0)}
_STRAIGHT = {"time1": 2 / 3, "lr1": 2 / 3, "time2": 0.5, "lr2": 0.5}
_HELD = {"time1": 0.5, "lr1": 0.99, "time2": 0.3, "lr2": 0.1, "floor": 0.03}
_PHI = {"phi": (1e-3, 1e3)}
_FLOOR = {"floor": (1e-5, 0.9)}
_LOWEST = {"floor": 1e-5}
CONTENDERS = {
    "linear": Contender("linear"),
    "cosine": Contender("cosine"),
    "wsd": Contender("wsd", {"cooldown": (0.01, 1.0)}, ({"cooldown": 1.0},)),
    "polynomial": Contender("polynomial", {"power": (0.1, 20.0)}, ({"power": 1.0},)),
    "rex-phi": Contender("rex-phi", _PHI, ({"phi": 2.0},)),
    "uba": Contender("uba", _PHI, ({"phi": 2.0},)),
    "linear, floor": Contender("linear", _FLOOR, (_LOWEST,)),
    "rex-phi, floor": Contender("rex-phi", {**_PHI, **_FLOOR}, ({"phi": 2.0, **_LOWEST},)),
    "uba, floor": Contender("uba", {**_PHI, **_FLOOR}, ({"phi": 2.0, **_LOWEST},)),
    "spline": Contender("spline", _SPLINE, (_STRAIGHT,)),
    "spline, floor": Contender("spline", {**_SPLINE, **_FLOOR}, ({**_STRAIGHT, **_LOWEST}, _HELD)),
}


@dataclass(frozen=True)
class Best:
    """The best of a family in a cell: its schedule, base LR and log loss."""

    schedule: Schedule
    base_lr: float
    log_loss: float

    def lrs(self, budget: int) -> Floats:
        """LR of every step, [T]."""
        return self.base_lr * self.schedule.u(np.arange(budget), budget)


def best(problem: Problem, budget: int, cap: float, contender: Contender, mean_lr: float) -> Best:
    """The best base LR of at most ``cap`` and the best parameters, by L-BFGS from the best of many starts.

    Args:
        problem: What is trained.
        budget: Iterations T.
        cap: Largest base LR.
        contender: The family.
        mean_lr: A good mean LR to start from.
    """
    search = _Search(problem, budget, cap, contender)
    scattered = [search.start(values, mean_lr) for values in _quasi_random(contender)]
    starts = [search.best_of([search.start(values, mean_lr)])[0] for values in contender.known]
    starts += search.best_of(scattered)[:_DESCENTS]
    return min((search.descended(z) for z in starts), key=lambda each: each.log_loss)


def _quasi_random(contender: Contender) -> list[dict[str, float]]:
    """Parameters by a Sobol sequence over the ranges; nothing once if there are none."""
    names, ends = list(contender.ranges), np.log(list(contender.ranges.values()))
    if not names:
        return [{}]
    unit = qmc.Sobol(len(names), rng=0).random(_STARTS)
    values = np.exp(ends[:, 0] + unit * (ends[:, 1] - ends[:, 0]))
    return [dict(zip(names, row.tolist(), strict=True)) for row in values]


@dataclass(frozen=True)
class _Search:
    """The loss of a family as a function of the logs of base LR and parameters, z."""

    problem: Problem
    budget: int
    cap: float
    contender: Contender

    def start(self, values: Mapping[str, float], mean_lr: float) -> Floats:
        """z at some parameters and a mean LR."""
        logs = np.log([values[name] for name in self.contender.ranges])
        base_lr = mean_lr / self.schedule(logs).mean(self.budget)
        return np.concatenate([[math.log(min(max(base_lr, _LEAST_LR), self.cap))], logs])

    def best_of(self, starts: Sequence[Floats]) -> list[Floats]:
        """All of them, each with its base LR and smaller ones, the least loss first and those that diverge last."""
        smaller = [np.array([math.log(factor), *[0.0] * len(self.contender.ranges)]) for factor in _LR_FACTORS]
        every = [z + change for z in starts for change in smaller]
        losses = log_losses(self.problem, np.stack([self.lrs(z) for z in every], axis=1))
        return [every[i] for i in np.argsort(losses)]

    def schedule(self, logs: Floats) -> Schedule:
        """The family's schedule at the logs of its parameters."""
        ranges = self.contender.ranges.items()
        values = {name: min(max(math.exp(z), low), high) for z, (name, (low, high)) in zip(logs, ranges, strict=True)}
        return schedule(self.contender.family, **values)

    def lrs(self, z: Floats) -> Floats:
        """LR of every step, [T]."""
        return math.exp(z[0]) * self.schedule(z[1:]).u(np.arange(self.budget), self.budget)

    def objective(self, z: Floats) -> tuple[float, Floats]:
        """Log loss and its gradient; the schedule's derivatives are central differences, which cost no training."""
        steps = np.arange(self.budget)
        base_lr, here = math.exp(z[0]), self.schedule(z[1:]).u(steps, self.budget)
        loss, by_lr = log_loss(self.problem, base_lr * here)
        gradient = [by_lr @ here]
        for move in _STEP * np.eye(len(z) - 1):
            ahead, behind = (self.schedule(z[1:] + sign * move).u(steps, self.budget) for sign in (1, -1))
            gradient.append(by_lr @ (ahead - behind) / (2 * _STEP))
        return loss, base_lr * np.array(gradient)

    def descended(self, z: Floats) -> Best:
        """The optimum that L-BFGS reaches from z."""
        ends = [(_LEAST_LR, self.cap), *self.contender.ranges.values()]
        bounds = [(math.log(low), math.log(high)) for low, high in ends]
        result = minimize(
            self.objective, z, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200, "ftol": 1e-11}
        )
        return Best(self.schedule(result.x[1:]), math.exp(result.x[0]), float(result.fun))
