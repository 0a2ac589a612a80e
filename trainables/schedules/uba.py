"""UBA: one shape parameter φ from constant to early decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule
from phitune.trainables.schedules._mobius import warped


@dataclass(frozen=True)
class Uba(Schedule):
    """Unified budget-aware schedule: ``u = 2(1+cos πx) / (2φ + (2-φ)(1+cos πx))``.

    φ = 2 is cosine; smaller φ holds the LR longer, larger φ decays sooner. The paper's eta_min is ``floor``;
    x = t/T from t = 0 (single-phase convention, no half-step nodes).

    Args:
        phi: φ > 0, no unit.

    Source: Tang, Dong, Zeng, Zhou, Lin, NeurIPS 2025, arXiv 2505.24452.
    """

    phi: float

    family: ClassVar[str] = "uba"
    parameters: ClassVar[dict[str, Parameter]] = {"phi": Parameter(0.05, 50.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("phi")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return warped(0.5 * (1.0 + np.cos(np.pi * x)), self.phi)

    @property
    def profile_mean(self) -> float:
        return 1.0 / (1.0 + math.sqrt(0.5 * self.phi))
