"""Hold, then linear decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.schedules._base import Parameter, Schedule


@dataclass(frozen=True)
class DelayedLinear(Schedule):
    """``u = 1`` up to ``delay``, then linear to zero; ``wsd`` with a linear cooldown of ``1 - delay``.

    Args:
        delay: Share of the budget (after warmup) that is held, in [0, 1); 0 is linear.

    Source: the linear schedule of budgeted training (Li et al., arXiv 1905.04753), delayed.
    """

    delay: float = 0.5

    family: ClassVar[str] = "delayed-linear"
    parameters: ClassVar[dict[str, Parameter]] = {"delay": Parameter(0.05, 0.95)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("delay", "a number in [0, 1)", lambda v: 0 <= v < 1)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum((1.0 - x) / (1.0 - self.delay), 1.0)

    @property
    def profile_mean(self) -> float:
        return 0.5 * (1.0 + self.delay)
