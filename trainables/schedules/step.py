"""Step decay at fixed fractions of the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule
from phitune.trainables.schedules._sampling import is_increasing_fractions


@dataclass(frozen=True)
class Step(Schedule):
    """×``factor`` at each milestone; by default ×0.1 at one half and at three quarters.

    Args:
        milestones: Increasing fractions of the budget, in (0, 1).
        factor: Multiplier at each milestone, in (0, 1).

    Source: the step baseline of REX (Chen et al., arXiv 2107.04197), milestones rescaled to the
    budget as in budgeted training (Li et al., arXiv 1905.04753).
    """

    milestones: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    family: ClassVar[str] = "step"
    parameters: ClassVar[dict[str, Parameter]] = {"factor": Parameter(0.01, 0.9)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_increasing_fractions(self.milestones):
            self.refuse("milestones", "increasing fractions in (0, 1)")
        object.__setattr__(self, "milestones", tuple(self.milestones))
        self.require("factor", "a number in (0, 1)", lambda v: 0 < v < 1)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._levels[np.searchsorted(self.milestones, x, side="right")]

    @property
    def profile_mean(self) -> float:
        return float(np.dot(self._levels, np.diff([0.0, *self.milestones, 1.0])))

    @property
    def _levels(self) -> NDArray[np.float64]:
        """u before the first milestone and after each."""
        return np.power(float(self.factor), np.arange(len(self.milestones) + 1, dtype=np.float64))
