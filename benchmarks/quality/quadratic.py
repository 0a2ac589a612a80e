"""The noisy quadratic's losses for many configurations at once: exact, with several averages of the weights."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.curves import AVERAGES, Floats, points
from phitune.search.study.model import Cell
from phitune.trainables.schedules import Schedule
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.quadratic import Quadratic

# Beyond it a run has diverged; as `trainables.training` has it, times the first loss.
EXPLOSION = 1e3
# Configurations at once, so that they stay in the cache.
_BLOCK = 128


def first_loss(cell: Cell) -> float:
    """Loss before the first iteration."""
    return workload(cell.workload).learner(cell.optimizer, 0, cell.budget).evaluate("val").loss


def losses(cell: Cell, schedules: list[Schedule], base_lr: Floats) -> Floats:
    """Expected losses, [n, points, averages], of weights and averaged weights; at most `EXPLOSION` × the first.

    The recursion of `trainables.workloads.quadratic` without momentum, for n schedules with base LRs [n].
    """
    parts = range(0, len(schedules), _BLOCK)
    return np.concatenate([_block(cell, schedules[i : i + _BLOCK], base_lr[i : i + _BLOCK]) for i in parts])


def _block(cell: Cell, schedules: list[Schedule], base_lr: Floats) -> Floats:
    problem = workload(cell.workload)
    assert isinstance(problem, Quadratic) and not problem.momentum
    h, s = problem.curvature[:, None], problem.noise_variance[:, None]
    lrs = base_lr * np.stack([each.u(np.arange(cell.budget), cell.budget) for each in schedules], axis=1)
    rates = np.array(AVERAGES[1:], dtype=float)[:, None, None]
    ww = np.full((h.size, base_lr.size), 1.0 / h.size)
    wa = np.repeat(ww[None], len(rates), axis=0)
    aa = wa.copy()
    marks, at_marks = points(cell.budget), []
    for step in range(cell.budget):
        lr = lrs[step]
        decay = 1.0 - lr * h
        ww = np.minimum(decay**2 * ww + lr**2 * s, 1e9)
        wa = np.clip(decay * wa, -1e9, 1e9)
        beta = np.minimum(1.0, rates / (step + 1))
        keep = 1.0 - beta
        aa = keep**2 * aa + 2.0 * keep * beta * wa + beta**2 * ww
        wa = keep * wa + beta * ww
        if step + 1 in marks:
            raw = 0.5 * (h * ww).sum(axis=0)
            averaged = 0.5 * (h * aa).sum(axis=1)
            at_marks.append(np.concatenate([raw[None], averaged]))
    clipped: Floats = np.minimum(np.stack(at_marks).transpose(2, 0, 1), EXPLOSION * first_loss(cell))
    return clipped
