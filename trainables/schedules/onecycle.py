"""One cycle: LR up, then down, momentum the other way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phitune.trainables.schedules._base import Parameter, Schedule, checked_steps
from phitune.trainables.schedules._blocks import in_blocks


@dataclass(frozen=True)
class OneCycle(Schedule):
    """LR from ``initial`` up to 1 at ``peak``, down to ``final``; momentum from ``high`` to ``low`` and back.

    Torch's OneCycleLR is the same step by step with ``total_steps=T+1``, ``pct_start=(peak*T+1)/(T+1)``,
    ``div_factor=1/initial``, ``final_div_factor=initial/final``.

    Args:
        peak: Where the LR is largest, a fraction of the budget in (0, 1).
        initial: u at the start, in (0, 1]; 0.1 is the eta_min = 0.1 eta_max of REX's baseline.
        final: u at the end, in [0, 1].
        anneal: "linear" or "cosine" ramps.
        cycle_momentum: Whether momentum (Adam: β₁) moves at all.
        low: Momentum at the peak, in [0, 1).
        high: Momentum at start and end, in [low, 1).

    Source: Smith and Topin, arXiv 1708.07120; the figures are those of REX's baseline (arXiv 2107.04197).
    """

    peak: float = 0.5
    initial: float = 0.1
    final: float = 0.1
    anneal: str = "linear"
    cycle_momentum: bool = True
    low: float = 0.85
    high: float = 0.95

    family: ClassVar[str] = "onecycle"
    parameters: ClassVar[dict[str, Parameter]] = {
        "peak": Parameter(0.05, 0.8),
        "initial": Parameter(0.01, 0.5),
        "final": Parameter(0.001, 0.5),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("peak", "a number in (0, 1)", lambda v: 0 < v < 1)
        self.require("initial", "a number in (0, 1]", lambda v: 0 < v <= 1)
        self.require("final", "a number in [0, 1]", lambda v: 0 <= v <= 1)
        self.require_one_of("anneal", "linear", "cosine")
        if not isinstance(self.cycle_momentum, bool):
            self.refuse("cycle_momentum", "true or false")
        self.require("low", "a number in [0, 1)", lambda v: 0 <= v < 1)
        self.require("high", f"a number in [{self.low}, 1), no smaller than low", lambda v: self.low <= v < 1)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._cycle(x, self.initial, 1.0, self.final)

    @property
    def profile_mean(self) -> float:
        return 0.5 * (1.0 + self.peak * self.initial + (1.0 - self.peak) * self.final)

    def momentum(self, step: ArrayLike, horizon: int) -> NDArray[np.float64] | None:
        t = checked_steps(step, horizon)
        if not self.cycle_momentum:
            return None
        return in_blocks(lambda t: self._cycle(self._progress(t, horizon), self.high, self.low, self.high), t)

    def _cycle(self, x: NDArray[np.float64], start: float, middle: float, end: float) -> NDArray[np.float64]:
        """``start`` at x = 0, ``middle`` at the peak, ``end`` at x = 1."""
        rising = x < self.peak
        z = np.where(rising, x / self.peak, (1.0 - x) / (1.0 - self.peak))
        if self.anneal == "cosine":
            z = 0.5 * (1.0 - np.cos(np.pi * z))
        return np.where(rising, start + (middle - start) * z, end + (middle - end) * z)
