"""Regret against compute, and the compute at which a regret is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Floats

_BOOTSTRAPS = 400


@dataclass(frozen=True)
class Curve:
    """A method's searches: r repeats at g amounts of work.

    Attributes:
        compute: Full trainings spent, [g].
        regret: Of the choice at that time, [r, g]; infinite where there is none.
    """

    compute: Floats
    regret: Floats

    def median(self) -> Floats:
        """Median regret, [g]."""
        return np.asarray(np.median(self.regret, axis=0), dtype=np.float64)

    def mean(self) -> Floats:
        """Mean regret, [g]."""
        return np.asarray(self.regret.mean(axis=0), dtype=np.float64)

    def reach(self, regret: float) -> float:
        """Compute at which the median regret comes down to ``regret``; infinite if it does not."""
        return _crossing(self.compute, self.median(), regret)

    def interval(self, regret: float) -> tuple[float, float]:
        """A 90 % bootstrap interval of `reach`, over repeats."""
        rng = np.random.default_rng(0)
        repeats = len(self.regret)
        reached = [
            Curve(self.compute, self.regret[rng.integers(repeats, size=repeats)]).reach(regret)
            for _ in range(_BOOTSTRAPS)
        ]
        low, high = np.quantile(reached, [0.05, 0.95], method="nearest")
        return float(low), float(high)


def _crossing(compute: Floats, regret: Floats, target: float) -> float:
    """First crossing, linear in logs between points."""
    below = np.flatnonzero(regret <= target)
    if not below.size:
        return math.inf
    i = int(below[0])
    if i == 0 or not math.isfinite(regret[i - 1]):
        return float(compute[i])
    tiny = 1e-9
    before, after = math.log(regret[i - 1] + tiny), math.log(max(regret[i], 0.0) + tiny)
    share = (before - math.log(target + tiny)) / (before - after)
    return float(compute[i - 1] * (compute[i] / compute[i - 1]) ** share)
