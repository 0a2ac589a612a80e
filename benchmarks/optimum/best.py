"""The best schedule of all: every LR free between zero and a cap, found by gradient descent through the recursion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from benchmarks.optimum.recursion import Floats, log_loss
from phitune.trainables.workloads.exact import Problem

_LEAST = 1e-7
_TOLERANCE = 1e-9
_BEGINNINGS = 5
_SIZES = (1e-4, 1e-3, 1e-2, 1e-1)
_PERTURBATIONS = 10


@dataclass(frozen=True)
class Optimum:
    """The best schedule of a cell, and how sure it is.

    Attributes:
        lrs: LR of every step, [T].
        log_loss: Log of the expected loss at its end.
        spread: Largest difference of log loss between the starts.
        margin: The least by which a random perturbation of the LRs changed log loss; negative: one was better.
    """

    lrs: Floats
    log_loss: float
    spread: float
    margin: float


def optimum(problem: Problem, cap: float, starts: Sequence[Floats], iterations: int = 2000) -> Optimum:
    """The best LRs of at most ``cap``, by L-BFGS in their logarithms from each start.

    The loss has local optima where LRs may be above 2 ÷ the largest curvature.

    Args:
        problem: What is trained.
        cap: Largest LR.
        starts: LRs to start from, [T] each.
        iterations: At most, each time that L-BFGS begins.
    """
    found = [_descended(problem, cap, start, iterations) for start in starts]
    losses = [loss for _, loss in found]
    lrs, loss = found[int(np.argmin(losses))]
    return Optimum(lrs, loss, max(losses) - min(losses), _margin(problem, cap, lrs, loss))


def _descended(problem: Problem, cap: float, start: Floats, iterations: int) -> tuple[Floats, float]:
    def objective(log_lrs: Floats) -> tuple[float, Floats]:
        lrs = np.exp(log_lrs)
        loss, gradient = log_loss(problem, lrs)
        return loss, gradient * lrs

    bounds = [(math.log(_LEAST), math.log(cap))] * len(start)
    at, loss = np.log(np.clip(start, _LEAST, cap)), math.inf
    # L-BFGS may end where its memory misleads it; begun anew from there, it goes on.
    for _ in range(_BEGINNINGS):
        before = loss
        result = minimize(
            objective,
            at,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 30},
        )
        at, loss = result.x, float(result.fun)
        if not before - loss > _TOLERANCE:
            break
    return np.exp(at), loss


def _margin(problem: Problem, cap: float, lrs: Floats, loss: float) -> float:
    """Perturbations of every LR by itself, and of all by a smooth curve, of four sizes each."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, len(lrs))
    changes = []
    for size in _SIZES:
        for _ in range(_PERTURBATIONS):
            rough = rng.standard_normal(len(lrs))
            smooth = np.cos(np.pi * np.outer(x, np.arange(6))) @ rng.standard_normal(6)
            for direction in (rough, smooth):
                changed = np.clip(lrs * np.exp(size * direction), _LEAST, cap)
                changes.append(log_loss(problem, changed)[0] - loss)
    return min(changes)
