"""Warmup-stable-decay: hold, then cool down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule


@dataclass(frozen=True)
class Wsd(Schedule):
    """``u = 1`` until the last ``cooldown`` of the budget, then to zero; its warmup is every family's.

    Args:
        cooldown: Share of the budget (after warmup) that decays, in (0, 1].
        shape: "linear" for ``1 - z`` or "sqrt" for ``1 - √z``, z the progress of the cooldown.

    Source: Hägele et al. 2024, arXiv 2405.18392; the name is of Hu et al. 2024, arXiv 2404.06395.
    """

    cooldown: float = 0.2
    shape: str = "linear"

    family: ClassVar[str] = "wsd"
    parameters: ClassVar[dict[str, Parameter]] = {"cooldown": Parameter(0.05, 1.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("cooldown", "a number in (0, 1]", lambda v: 0 < v <= 1)
        self.require_one_of("shape", "linear", "sqrt")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        remaining = np.minimum((1.0 - x) / self.cooldown, 1.0)
        return remaining if self.shape == "linear" else 1.0 - np.sqrt(1.0 - remaining)

    @property
    def profile_mean(self) -> float:
        return 1.0 - self.cooldown * (1 / 2 if self.shape == "linear" else 2 / 3)
