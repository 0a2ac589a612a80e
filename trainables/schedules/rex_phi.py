"""REX with a shape parameter: UBA's map on the linear profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule
from phitune.trainables.schedules._mobius import warped

_NEAR = 0.05
_TERMS = 16


@dataclass(frozen=True)
class RexPhi(Schedule):
    """REX with UBA's φ: ``u = (1-x) / (φ/2 + (1-φ/2)(1-x))``.

    φ = 1 is REX, φ = 2 linear; smaller φ holds the LR longer, larger φ decays sooner. Unlike UBA it ends with a
    slope, ``u ≈ (2/φ)(1-x)``.

    Args:
        phi: φ > 0, no unit.

    Source: the map of UBA (arXiv 2505.24452) on the linear profile, as REX (arXiv 2107.04197) is at φ = 1.
    """

    phi: float

    family: ClassVar[str] = "rex-phi"
    parameters: ClassVar[dict[str, Parameter]] = {"phi": Parameter(0.05, 50.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("phi")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return warped(1.0 - x, self.phi)

    @property
    def profile_mean(self) -> float:
        """``(c + (1-c) ln(1-c)) / c²`` with c = 1 - φ/2; near c = 0 its series, ``Σ cᵏ / ((k+1)(k+2))``."""
        half = 0.5 * self.phi
        c = 1.0 - half
        if abs(c) < _NEAR:
            return math.fsum(c**k / ((k + 1) * (k + 2)) for k in range(_TERMS))
        # ln(1-c) is taken of φ/2, which is exact where φ is tiny and 1 - c is not.
        return (c + half * math.log(half)) / c**2
