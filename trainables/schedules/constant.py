"""No decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """``u = 1``; the limit of ``uba`` for φ → 0."""

    family: ClassVar[str] = "constant"

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ones_like(x)

    @property
    def profile_mean(self) -> float:
        return 1.0
