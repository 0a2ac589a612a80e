"""Decay with the inverse square root of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """``u = 1 / √(1 + x/timescale)``; ends far above zero.

    Args:
        timescale: Share of the budget after which u is 1/√2, > 0; the share of ``warmup`` gives the Transformer's.

    Source: Vaswani et al., arXiv 1706.03762; a timescale apart from warmup as in Zhai et al., arXiv 2106.04560, here
    as a share of the budget.
    """

    timescale: float = 0.1

    family: ClassVar[str] = "inverse-sqrt"
    parameters: ClassVar[dict[str, Parameter]] = {"timescale": Parameter(0.001, 1.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("timescale")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 / np.sqrt(1.0 + x / self.timescale)

    @property
    def profile_mean(self) -> float:
        """``2τ(√(1+1/τ) - 1)``, written so that it does not cancel for large τ."""
        return 2.0 / (math.sqrt(1.0 + 1.0 / self.timescale) + 1.0)
