"""A schedule that is a table of values, such as one refined from a run's gradient norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule
from phitune.trainables.schedules._sampling import is_number


@dataclass(frozen=True)
class Refined(Schedule):
    """Piecewise linear through ``values``, which `trainables.schedules.refine` computes from gradient norms.

    Args:
        values: u at evenly spaced x from 0 to 1; at least 2 numbers in [0, 1], the largest 1.

    Source: Defazio, Cutkosky, Mehta, Mishchenko, arXiv 2310.07831.
    """

    values: tuple[float, ...]

    family: ClassVar[str] = "refined"

    def __post_init__(self) -> None:
        super().__post_init__()
        values = self.values
        numbers = isinstance(values, list | tuple) and all(is_number(v) and 0 <= v <= 1 for v in values)
        if not (numbers and len(values) >= 2 and max(values) == 1):
            self.refuse("values", "at least 2 numbers in [0, 1], the largest 1")
        object.__setattr__(self, "values", tuple(map(float, values)))

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(x, np.linspace(0.0, 1.0, len(self.values)), self.values)

    @property
    def profile_mean(self) -> float:
        return float(np.trapezoid(self.values, dx=1.0 / (len(self.values) - 1)))
