"""Cosine with warm restarts, made budget-aware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule

# Rounding must not move a restart by a step; a step of a run of 1e8 is ten times this.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Sgdr(Schedule):
    """Cosine with warm restarts: ``restarts + 1`` even cycles, each from 1 to zero.

    Args:
        restarts: Number of restarts, a whole number of at least 0; 0 is cosine.

    Source: Loshchilov and Hutter, ICLR 2017, arXiv 1608.03983; even and rescaled to the budget as SGDR-r2 of
    budgeted training (Li et al., arXiv 1905.04753).
    """

    restarts: int = 2

    family: ClassVar[str] = "sgdr"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("restarts", 0)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        z = x * (self.restarts + 1)
        cycle = np.minimum(np.floor(z + _TOLERANCE), self.restarts)
        u: NDArray[np.float64] = 0.5 * (1.0 + np.cos(np.pi * np.maximum(z - cycle, 0.0)))
        return u

    @property
    def profile_mean(self) -> float:
        return 0.5
