"""Losses that are known exactly, of many configurations at once: noisy quadratics, and a linear regression."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.curves import AVERAGES, Floats, Setting, points
from phitune.search.study.cell import Cell
from phitune.trainables.schedules import Schedule
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import ExactWorkload, Problem

# Beyond it a run has diverged; as `trainables.training` has it, times the first loss.
EXPLOSION = 1e3
# Configurations at once, so that they stay in the cache.
_BLOCK = 128


def problem(cell: Cell) -> Problem:
    """The problem of a cell whose workload is exact and without momentum."""
    built = workload(cell.workload)
    assert isinstance(built, ExactWorkload) and not built.momentum
    return built.problem


def quadratic_setting(kappa: float, budget: int) -> Setting:
    """A cell of the noisy quadratic."""
    entry = {"name": "quadratic", "kappa": kappa, "noise": 0.03}
    return Setting(f"quadratic-{kappa:g}-{budget}", entry, "sgd", budget)


def regression_setting(budget: int) -> Setting:
    """A cell of the linear regression."""
    return Setting(f"regression-{budget}", "regression", "sgd", budget)


def losses(problem: Problem, budget: int, schedules: list[Schedule], base_lr: Floats) -> Floats:
    """Expected losses, [n, points, averages], of weights and averaged weights; at most `EXPLOSION` × the first."""
    parts = range(0, len(schedules), _BLOCK)
    blocks = [_block(problem, budget, schedules[i : i + _BLOCK], base_lr[i : i + _BLOCK]) for i in parts]
    return np.concatenate(blocks)


def _block(problem: Problem, budget: int, schedules: list[Schedule], base_lr: Floats) -> Floats:
    h = problem.curvature[:, None]
    lrs = base_lr * np.stack([each.u(np.arange(budget), budget) for each in schedules], axis=1)
    rates = np.array(AVERAGES[1:], dtype=float)[:, None, None]
    ww = np.repeat(problem.start[:, None], base_lr.size, axis=1)
    wa = np.repeat(ww[None], len(rates), axis=0)
    aa = wa.copy()
    marks, at_marks = points(budget), []
    for step in range(budget):
        lr = lrs[step]
        decay = 1.0 - lr * h
        ww = np.minimum(decay**2 * ww + lr**2 * problem.noise_at(ww), 1e9)
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
