"""The exact loss at the end of a run as a function of all its LRs, and its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.workloads.exact import Problem

Floats = NDArray[np.float64]


def log_losses(problem: Problem, lrs: Floats) -> Floats:
    """Logs of the expected losses [n] after the steps ``lrs`` [T, n] of n runs."""
    h = problem.curvature[:, None]
    v = np.repeat(problem.start[:, None], lrs.shape[1], axis=1)
    for lr in lrs:
        v = (1.0 - lr * h) ** 2 * v + lr**2 * problem.noise_at(v)
    losses: Floats = np.log(0.5 * (h * v).sum(axis=0))
    return losses


def log_loss(problem: Problem, lrs: Floats) -> tuple[float, Floats]:
    """Log of the expected loss after the steps ``lrs`` [T], and its derivative by each of them [T].

    v ← A(η) v + b(η) is linear in v, so the adjoint runs the same steps backwards: one pass forward, one back.
    """
    h, c = problem.curvature, problem.proportional
    decay = 1.0 - lrs[:, None] * h
    shrink, squares = decay**2, (lrs**2)[:, None]
    added = squares * problem.noise
    v = np.empty((len(lrs) + 1, h.size))
    v[0] = problem.start
    for t in range(len(lrs)):
        v[t + 1] = shrink[t] * v[t] + added[t]
        if c:
            v[t + 1] += squares[t] * (c * (h @ v[t])) * h
    adjoint = np.empty_like(added)
    a = 0.5 * h
    for t in reversed(range(len(lrs))):
        adjoint[t] = a
        a = shrink[t] * a
        if c:
            a += squares[t] * (c * (h @ adjoint[t])) * h
    loss = 0.5 * float(h @ v[-1])
    by_decay = np.einsum("td,td,td,d->t", adjoint, decay, v[:-1], h)
    by_noise = (adjoint * problem.noise_at(v[:-1].T).T).sum(axis=1)
    return float(np.log(loss)), 2.0 * (lrs * by_noise - by_decay) / loss
