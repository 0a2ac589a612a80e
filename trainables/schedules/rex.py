"""REX: the reflected exponential."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule
from phitune.trainables.schedules._mobius import warped


@dataclass(frozen=True)
class Rex(Schedule):
    """``u = (1-x) / (1/2 + (1-x)/2)``: above linear everywhere, zero at the end.

    Source: Chen, Wolfe, Kyrillidis, arXiv 2107.04197.
    """

    family: ClassVar[str] = "rex"

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return warped(1.0 - x, phi=1.0)

    @property
    def profile_mean(self) -> float:
        return 2.0 - 2.0 * math.log(2.0)
