"""Which workloads and budgets are compared, and what is recorded of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.optimum.best import Optimum, optimum
from benchmarks.optimum.families import CONTENDERS, best
from benchmarks.optimum.recursion import Floats
from benchmarks.optimum.theory import exponent, kernel_schedule
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import ExactWorkload, PowerLaw

WORKLOADS = (
    "quadratic(kappa=1000,noise=0.03)",
    "quadratic(kappa=100,noise=1.0)",
    "quadratic(kappa=10,noise=1.0)",
    "regression",
    "power-law(capacity=1.5,source=1.0,dim=400)",
    "power-law(capacity=2.0,source=1.0,dim=400)",
    "power-law(capacity=2.0,source=0.25,dim=400)",
    "power-law(capacity=3.0,source=0.3,dim=400)",
)
BUDGETS = (50, 200, 800, 3200)
# Where LRs beyond the range are tried: there are many local optima.
_BEYOND_UP_TO = 200
_BEYOND = 100.0
_BEYOND_STARTS = 6
_POINTS = 200


@dataclass(frozen=True)
class Cell:
    """A workload by its label, and a budget T."""

    workload: str
    budget: int

    @cached_property
    def exact(self) -> ExactWorkload:
        """The workload."""
        built = workload(Spec.parse(self.workload))
        assert isinstance(built, ExactWorkload)
        return built

    @property
    def cap(self) -> float:
        """The largest base LR of a study, here the largest LR: twice the inverse of the largest curvature."""
        return self.exact.base_lr["sgd"][1]


# A run that diverges overflows; the search for its LR steps back.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def measured(cell: Cell) -> dict[str, Any]:
    """Everything that is recorded of a cell; losses relative to the optimum are in per cent above it."""
    problem, steps = cell.exact.problem, np.arange(cell.budget)
    linear = schedule("linear").u(steps, cell.budget)
    free = optimum(problem, cell.cap, [np.full(cell.budget, 0.1), 0.5 * linear, np.full(cell.budget, 0.5)])
    row: dict[str, Any] = {
        "workload": cell.workload,
        "budget": cell.budget,
        "loss": float(np.exp(free.log_loss)),
        "spread": free.spread,
        "margin": free.margin,
        "rises": float(np.sum(np.diff(free.lrs) > 1e-4 * free.lrs.max())),
        "at_cap": float(np.mean(free.lrs > 0.99 * cell.cap)),
        "peak": float(free.lrs.max()),
        "last": float(free.lrs[-1]),
        "lrs": _thinned(free.lrs),
    }
    families = {}
    for name, contender in CONTENDERS.items():
        found = best(problem, cell.budget, cell.cap, contender, float(free.lrs.mean()))
        described = found.schedule.to_dict()
        families[name] = {"cost": _cost(found.log_loss, free), "base_lr": found.base_lr, "schedule": described}
    row["families"] = families
    if problem.noise.any():
        lrs, loss = kernel_schedule(problem, cell.budget, cell.cap)
        row["kernel"] = {"cost": _cost(loss, free), "exponent": exponent(lrs)}
    if isinstance(cell.exact, PowerLaw):
        row["exponent"] = exponent(free.lrs)
    if cell.budget <= _BEYOND_UP_TO:
        row["beyond"] = _cost(_beyond(cell, free), free)
    return row


def _cost(loss: float, free: Optimum) -> float:
    return 100.0 * float(np.expm1(loss - free.log_loss))


def _beyond(cell: Cell, free: Optimum) -> float:
    """The least log loss found with LRs of up to `_BEYOND`, from random changes of the optimum."""
    rng = np.random.default_rng(0)
    starts = [free.lrs * np.exp(0.5 * rng.standard_normal(cell.budget)) for _ in range(_BEYOND_STARTS)]
    return min(optimum(cell.exact.problem, _BEYOND, starts, iterations=500).log_loss, free.log_loss)


def _thinned(lrs: Floats) -> list[float]:
    """At most `_POINTS` LRs, evenly spaced over the steps."""
    at = np.unique(np.linspace(0, len(lrs) - 1, min(len(lrs), _POINTS)).round().astype(int))
    return [float(f"{lr:.5g}") for lr in lrs[at]]
