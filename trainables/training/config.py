"""Configuration of a trial: what it trains, and what is measured on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phitune.trainables.schedules import Schedule
from phitune.trainables.workloads.base import Diagnosis


@dataclass(frozen=True)
class Diagnostics:
    """Measurements on the whole training set during a trial; none by default.

    Attributes:
        gradient_points: Number of points, evenly spaced from the first to the last iteration, at which the norm of
            the full gradient is measured; 0 for none.
        hessian: Whether the Hessian's extreme eigenvalues are measured at start, middle and end.
        examples: Training examples used; None takes all.
    """

    gradient_points: int = 0
    hessian: bool = False
    examples: int | None = None

    def at(self, horizon: int) -> dict[int, Diagnosis]:
        """The measurements by the number of iterations after which they are taken."""
        gradient = spaced_steps(0, horizon, self.gradient_points) if self.gradient_points else frozenset()
        hessian = spaced_steps(0, horizon, 3) if self.hessian else frozenset()
        return {
            step: Diagnosis(step in gradient, step in hessian, self.examples) for step in sorted(gradient | hessian)
        }


@dataclass(frozen=True)
class TrialConfig:
    """What one trial trains.

    Attributes:
        optimizer: Optimizer name, with or without options.
        horizon: Iterations after which the schedule ends; never changed by early stopping.
        schedule: The LR schedule, without base LR.
        base_lr: LR at the schedule's peak.
        seed: Decides initial weights and batch order.
    """

    optimizer: str
    horizon: int
    schedule: Schedule
    base_lr: float
    seed: int


def spaced_steps(first: int, horizon: int, points: int) -> frozenset[int]:
    """About ``points`` iterations, evenly spaced up to the horizon.

    Args:
        first: 0 if the spacing starts at step 0 and includes it; otherwise the least iteration included.
        horizon: The last iteration included.
        points: Their number; at most one an iteration.
    """
    spaced = np.linspace(0, horizon, min(points, horizon) + (1 if first else 0))
    return frozenset(int(step) for step in np.rint(spaced) if step >= first)
