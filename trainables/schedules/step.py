"""Step decay at fixed fractions of the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trainables.schedules._base import Schedule


@dataclass(frozen=True)
class Step(Schedule):
    """×0.1 at one half and again at three quarters of the budget.

    Source: the step baseline of REX (Chen et al., arXiv 2107.04197), milestones rescaled to the
    budget as in budgeted training (Li et al., arXiv 1905.04753).
    """

    family: ClassVar[str] = "step"

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(x < 0.5, 1.0, np.where(x < 0.75, 0.1, 0.01))

    @property
    def mean(self) -> float:
        return 0.5 + 0.25 * 0.1 + 0.25 * 0.01
