"""A free-form decay through two points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator


@dataclass(frozen=True)
class Spline(Schedule):
    """Smooth decay from 1 to zero through two points, never rising.

    The first point has ``time1`` of the budget still to come and ``lr1`` of the LR; the second ``time2`` of that time
    and ``lr2`` of that LR: (1 - x, u) is (time1, lr1), then (time1·time2, lr1·lr2). Every combination is a valid
    schedule. Equal ``time`` and ``lr`` give linear, ``lr = timeᵖ`` nearly ``(1-x)ᵖ``, ``lr1 = 1`` holds the LR until
    the first point.

    Args:
        time1: In (0, 1).
        lr1: In (0, 1].
        time2: In (0, 1).
        lr2: In (0, 1].

    Source: the two-point monotone spline of "What do near-optimal learning rate schedules look like?" (arXiv
    2603.10301), here with Fritsch and Butland's slopes (SIAM J. Sci. Stat. Comput. 5, 1984), as SciPy has them.
    """

    time1: float
    lr1: float
    time2: float
    lr2: float

    family: ClassVar[str] = "spline"
    parameters: ClassVar[dict[str, Parameter]] = {
        "time1": Parameter(0.1, 0.95),
        "lr1": Parameter(0.02, 1.0),
        "time2": Parameter(0.1, 0.9),
        "lr2": Parameter(0.02, 1.0),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("time1", "time2"):
            self.require(name, "a number in (0, 1)", lambda v: 0 < v < 1)
        for name in ("lr1", "lr2"):
            self.require(name, "a number in (0, 1]", lambda v: 0 < v <= 1)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        # The polynomials' rounding leaves [0, 1] in the last digit.
        return np.clip(self._curve(1.0 - x), 0.0, 1.0)

    @property
    def profile_mean(self) -> float:
        return float(self._curve.integrate(0.0, 1.0))

    @cached_property
    def _curve(self) -> PchipInterpolator:
        """u as a function of the time that is left, 1 - x."""
        from scipy.interpolate import PchipInterpolator

        left = [0.0, self.time1 * self.time2, self.time1, 1.0]
        return PchipInterpolator(left, [0.0, self.lr1 * self.lr2, self.lr1, 1.0])
