"""The schedule that functional scaling laws call optimal, for noise that does not depend on the loss.

In intrinsic time, the sum of LRs, noise injected when R of it is still to come adds η² K(R)/2, K(R) = Σ h s e^(−2hR).
The least sum over a given number of steps has η ∝ K(R)^(−1/2) (arXiv 2602.06797). With a power law for h and R large
this is (1 − x)^(2β−1); here K is what it is.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.optimum.recursion import Floats, log_loss
from phitune.trainables.workloads.exact import Problem

_MIDDLE = (0.1, 0.9)
_GRID = 400
_LEAST = 1e-4


def kernel_schedule(problem: Problem, budget: int, cap: float) -> tuple[Floats, float]:
    """LRs [T], each min(cap, C K(R)^(−1/2)), and their log loss, at the best C."""
    times = np.concatenate([[0.0], np.geomspace(1e-3, max(cap * budget, 1.0), _GRID)])
    kernel = np.exp(-2.0 * times[:, None] * problem.curvature) @ (problem.curvature * problem.noise)
    at, rate = np.log1p(times), -0.5 * np.log(kernel / kernel[0])

    def lrs(log_last: float) -> Floats:
        made, remaining = np.empty(budget), 0.0
        for t in reversed(range(budget)):
            made[t] = min(np.exp(log_last + np.interp(np.log1p(remaining), at, rate)), cap)
            remaining += made[t]
        return made

    found = minimize_scalar(
        lambda z: log_loss(problem, lrs(z))[0],
        bounds=(math.log(_LEAST), math.log(cap)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return lrs(found.x), float(found.fun)


def exponent(lrs: Floats) -> float:
    """p of the (1 − x)^p closest to a schedule between x = 0.1 and 0.9, by least squares in logarithms."""
    x = np.arange(len(lrs)) / len(lrs)
    middle = (x >= _MIDDLE[0]) & (x <= _MIDDLE[1])
    return float(np.polyfit(np.log(1.0 - x[middle]), np.log(lrs[middle]), 1)[0])
