"""Exponential decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule


@dataclass(frozen=True)
class Exponential(Schedule):
    """``u = exp(-rate · x)``; ends at ``exp(-rate)``, not at zero.

    Args:
        rate: Decay over the whole budget, > 0, in nats; 3 is the baseline of REX (arXiv 2107.04197).
    """

    rate: float = 3.0

    family: ClassVar[str] = "exponential"
    parameters: ClassVar[dict[str, Parameter]] = {"rate": Parameter(0.3, 10.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("rate")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-self.rate * x)

    @property
    def profile_mean(self) -> float:
        return -math.expm1(-self.rate) / self.rate
