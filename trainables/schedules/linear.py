"""Linear decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Schedule


@dataclass(frozen=True)
class Linear(Schedule):
    """``u = 1 - x``.

    Source: Li, Yumer, Ramanan, ICLR 2020, arXiv 1905.04753 (budgeted training).
    """

    family: ClassVar[str] = "linear"

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 - x

    @property
    def profile_mean(self) -> float:
        return 0.5
