"""Losses that are known exactly, of many configurations at once: noisy quadratics, and a linear regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import AVERAGES, Floats, Setting, points
from phitune.search.study.model import Cell
from phitune.trainables.schedules import Schedule
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.quadratic import Quadratic

# Beyond it a run has diverged; as `trainables.training` has it, times the first loss.
EXPLOSION = 1e3
# Configurations at once, so that they stay in the cache.
_BLOCK = 128


@dataclass(frozen=True)
class Problem:
    """SGD's second moments p of d independent coordinates, which all start at 1/d.

    p ← (1 − ηλ)² p + η² (s + c λ Σλp), loss ½ Σλp.

    Attributes:
        curvature: λ, [d].
        noise: s, the variance of the gradient's noise, [d].
        proportional: c, what of the noise is proportional to the loss.
    """

    curvature: Floats
    noise: Floats
    proportional: float = 0.0

    @property
    def first_loss(self) -> float:
        return 0.5 * float(self.curvature.mean())


def quadratic(cell: Cell) -> Problem:
    """The noisy quadratic of `trainables.workloads.quadratic`, without momentum."""
    problem = workload(cell.workload)
    assert isinstance(problem, Quadratic) and not problem.momentum
    return Problem(problem.curvature, problem.noise_variance)


def regression(dim: int = 100, exponent: float = 1.25, batch: int = 1, examples: int = 1024) -> Problem:
    """Linear regression without label noise, batches drawn without replacement: noise is proportional to the loss.

    *What do near-optimal learning rate schedules look like?* (arXiv 2603.10301). Eigenvalues fall from 1 by a power
    law. With these defaults the best LRs are 0.3 to 0.5, and it diverges above 0.6 to 0.8.
    """
    curvature: Floats = np.arange(1.0, dim + 1) ** -exponent
    return Problem(curvature, np.zeros(dim), 1 / batch - 1 / examples)


def quadratic_setting(kappa: float, budget: int) -> Setting:
    """A cell of the noisy quadratic."""
    entry = {"name": "quadratic", "kappa": kappa, "noise": 0.03}
    return Setting(f"quadratic-{kappa:g}-{budget}", entry, "sgd", budget)


def regression_setting(budget: int) -> Setting:
    """Its cell lends families and ranges from the quadratic, which is a workload; the losses are `regression`'s."""
    return Setting(f"regression-{budget}", "quadratic", "sgd", budget)


def losses(problem: Problem, budget: int, schedules: list[Schedule], base_lr: Floats) -> Floats:
    """Expected losses, [n, points, averages], of weights and averaged weights; at most `EXPLOSION` × the first."""
    parts = range(0, len(schedules), _BLOCK)
    blocks = [_block(problem, budget, schedules[i : i + _BLOCK], base_lr[i : i + _BLOCK]) for i in parts]
    return np.concatenate(blocks)


def _block(problem: Problem, budget: int, schedules: list[Schedule], base_lr: Floats) -> Floats:
    h, s, proportional = problem.curvature[:, None], problem.noise[:, None], problem.proportional
    lrs = base_lr * np.stack([each.u(np.arange(budget), budget) for each in schedules], axis=1)
    rates = np.array(AVERAGES[1:], dtype=float)[:, None, None]
    ww = np.full((h.size, base_lr.size), 1.0 / h.size)
    wa = np.repeat(ww[None], len(rates), axis=0)
    aa = wa.copy()
    marks, at_marks = points(budget), []
    for step in range(budget):
        lr = lrs[step]
        decay = 1.0 - lr * h
        noise = s + proportional * h * (h * ww).sum(axis=0) if proportional else s
        ww = np.minimum(decay**2 * ww + lr**2 * noise, 1e9)
        wa = np.clip(decay * wa, -1e9, 1e9)
        beta = np.minimum(1.0, rates / (step + 1))
        keep = 1.0 - beta
        aa = keep**2 * aa + 2.0 * keep * beta * wa + beta**2 * ww
        wa = keep * wa + beta * ww
        if step + 1 in marks:
            raw = 0.5 * (h * ww).sum(axis=0)
            averaged = 0.5 * (h * aa).sum(axis=1)
            at_marks.append(np.concatenate([raw[None], averaged]))
    clipped: Floats = np.minimum(np.stack(at_marks).transpose(2, 0, 1), EXPLOSION * problem.first_loss)
    return clipped
