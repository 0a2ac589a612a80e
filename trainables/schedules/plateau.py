"""Decay on plateau: the one closed-loop family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.schedules._base import Parameter, Schedule, checked_steps

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiplies the LR by ``factor`` when the validation loss has not improved for more than ``patience`` checks.

    The rule of torch's ReduceLROnPlateau (mode min, relative threshold, no cooldown), and still a pure function:
    of the step, the horizon and the losses observed at `check_steps`. A check after c iterations acts on steps
    t ≥ c. Before any observation u = 1, and `mean` is that of no reduction. ``floor`` is the least LR ÷ base LR.

    Args:
        factor: Multiplier at a reduction, in (0, 1).
        patience: Checks without improvement that are tolerated, a whole number of at least 0.
        threshold: Relative improvement that counts, in [0, 1).
        checks: Number of checks, even over the budget after warmup, the last at its end; at least 1.

    Source: the decay-on-plateau baseline of REX (Chen et al., arXiv 2107.04197); torch's rule.
    """

    factor: float = 0.1
    patience: int = 2
    threshold: float = 1e-4
    checks: int = 20

    family: ClassVar[str] = "plateau"
    parameters: ClassVar[dict[str, Parameter]] = {"factor": Parameter(0.01, 0.9), "threshold": Parameter(1e-5, 1e-2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("factor", "a number in (0, 1)", lambda v: 0 < v < 1)
        self.require_whole("patience", 0)
        self.require("threshold", "a number in [0, 1)", lambda v: 0 <= v < 1)
        self.require_whole("checks", 1)

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ones_like(x)

    @property
    def profile_mean(self) -> float:
        return 1.0

    def check_steps(self, horizon: int) -> NDArray[np.int64]:
        checked_steps(0, horizon)
        w = self.warmup_steps(horizon)
        count = min(self.checks, horizon - w)
        after_warmup: NDArray[np.int64] = np.rint(np.arange(1, count + 1) * ((horizon - w) / count)).astype(np.int64)
        return w + after_warmup

    def lr_scheduler(
        self, optimizer: Optimizer, horizon: int, last_epoch: int = -1, extend: bool = False
    ) -> LRScheduler:
        """Torch's own ReduceLROnPlateau; call its ``step(loss)`` after each of `check_steps`, not at every iteration.

        Its state knows no horizon, so it loads with or without ``extend``.

        Raises:
            InputError: Warmup, sampling or ``last_epoch`` is set; torch's has none of them.
        """
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        for name, value in (("warmup", self.warmup), ("sampling", self.sampling), ("last_epoch", last_epoch + 1)):
            if value:
                raise InputError(f"{self.family}.{name}: torch's ReduceLROnPlateau has none; use u(step, ...) instead")
        # One number for all groups lets groups be added later.
        floors = [self.floor * float(group["lr"]) for group in optimizer.param_groups] if self.floor else 0.0
        return ReduceLROnPlateau(
            optimizer, "min", self.factor, self.patience, self.threshold, "rel", cooldown=0, min_lr=floors, eps=0.0
        )

    def _observed_profile(self, x: NDArray[np.float64], horizon: int, observed: Sequence[float]) -> NDArray[np.float64]:
        w = self.warmup_steps(horizon)
        checked = (self.check_steps(horizon) - w) / (horizon - w)
        if len(observed) > len(checked):
            raise InputError(f"observed: {len(observed)} losses are not allowed; there are {len(checked)} checks")
        return self._levels(observed)[np.searchsorted(checked[: len(observed)], x, side="right")]

    def _levels(self, observed: Sequence[float]) -> NDArray[np.float64]:
        """u before the first check and after each, [len(observed) + 1]."""
        best, bad, levels = math.inf, 0, [1.0]
        for loss in observed:
            improved = loss < best * (1.0 - self.threshold)
            best, bad = (loss, 0) if improved else (best, bad + 1)
            reduced = bad > self.patience
            bad = 0 if reduced else bad
            levels.append(max(levels[-1] * self.factor, self.floor) if reduced else levels[-1])
        return np.array(levels)

    def _lifted(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(value, self.floor)
