"""Where a configuration lies in the model: its schedule as a function of the step, not as a family with parameters.

With R(x) the share of the LR still to come at progress x, the integral of u from x to 1 over that from 0 to 1, a
schedule has two coordinates: log of the mean of R, which says where the LR lies (small: early), and log of R(0.9),
which says how much of it the last tenth has. Cosine and UBA(2) are the same function and so the same point.
The third coordinate is log mean LR, in which the best LR hardly moves with the schedule (docs/method/search.md).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules import Schedule

Array = NDArray[np.float64]

NAMES = ("log_mean_lr", "area", "tail")
# Steps at which u is looked at, at most.
STEPS = 512
_LATE = 0.9
# Added to R(0.9), below which the last tenth is as good as without LR.
_LEAST = 1e-3
# Centres and spreads of the coordinates over UBA's phi from 0.05 to 50 (uniform in log phi), T = 512; of log mean LR
# a natural scale: the LR's best and the cliff above it are some factors of e apart.
LR_SPREAD = 2.0
_CENTRES = np.array([0.0, -1.25, -5.56])
_SPREADS = np.array([LR_SPREAD, 0.33, 0.96])


def coordinates(schedule: Schedule, budget: int, base_lr: float) -> Array:
    """The coordinates of a configuration, shape (3,), each of them in units of its typical spread.

    Args:
        schedule: The schedule.
        budget: Iterations T.
        base_lr: Base LR.
    """
    return placed(np.array(shape_of(schedule, budget)), np.log(base_lr))


def placed(shape: Array, log_base_lr: Array | float) -> Array:
    """Coordinates (..., 3) from shapes (..., 3), as of `shape_of`, and logs of base LRs (...)."""
    place = (shape - _CENTRES) / _SPREADS
    place[..., 0] += np.asarray(log_base_lr) / LR_SPREAD
    return np.asarray(place, dtype=np.float64)


@lru_cache(maxsize=65536)
def shape_of(schedule: Schedule, budget: int) -> tuple[float, float, float]:
    """Log of the mean of u, log of the mean of R, and log of R(0.9) + 0.001."""
    steps = np.unique(np.linspace(0, budget - 1, min(budget, STEPS)).round())
    u = np.maximum(schedule.u(steps, budget), 0.0)
    done = np.concatenate([[0.0], np.cumsum(u)])
    remaining = 1.0 - done / max(done[-1], 1e-300)
    x = np.concatenate([steps, [budget]]) / budget
    area = np.log(max(float(np.trapezoid(remaining, x)), 1e-6))
    tail = np.log(max(float(np.interp(_LATE, x, remaining)), 0.0) + _LEAST)
    return float(np.log(schedule.mean(budget))), float(area), float(tail)
