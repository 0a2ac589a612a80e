"""Cosine decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule


@dataclass(frozen=True)
class Cosine(Schedule):
    """``u = (1 + cos πx) / 2``; the same curve as ``uba`` at φ = 2.

    Source: Loshchilov and Hutter, ICLR 2017, arXiv 1608.03983 (one period, no restart).
    """

    family: ClassVar[str] = "cosine"

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * (1.0 + np.cos(np.pi * x))

    @property
    def profile_mean(self) -> float:
        return 0.5
