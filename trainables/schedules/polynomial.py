"""Polynomial decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule


@dataclass(frozen=True)
class Polynomial(Schedule):
    """``u = (1-x)^power``; power 1 is linear, above it decays sooner.

    Args:
        power: > 0; 0.9 is the custom of semantic segmentation, refined schedules look like powers of 0.8 to 3
            (Defazio et al., arXiv 2310.07831).

    Source: the "poly" policy of DeepLab (Chen et al., arXiv 1606.00915).
    """

    power: float = 0.9

    family: ClassVar[str] = "polynomial"
    parameters: ClassVar[dict[str, Parameter]] = {"power": Parameter(0.25, 5.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("power")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1.0 - x) ** float(self.power)

    @property
    def profile_mean(self) -> float:
        return 1.0 / (1.0 + self.power)
