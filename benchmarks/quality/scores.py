"""Regret against compute, and the compute at which a regret is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Floats
from benchmarks.quality.simulation import Trace

_BOOTSTRAPS = 400


@dataclass(frozen=True)
class Curve:
    """A method's searches: r repeats at g amounts of work.

    Attributes:
        compute: Full trainings spent, [r, g].
        regret: Of the choice at that time, [r, g]; infinite where there is none.
    """

    compute: Floats
    regret: Floats

    def medians(self) -> tuple[Floats, Floats]:
        """Median compute and median regret, [g]."""
        return np.median(self.compute, axis=0), np.median(self.regret, axis=0)

    def reach(self, regret: float) -> float:
        """Median compute at which the median regret comes down to ``regret``; infinite if it does not."""
        return _crossing(*self.medians(), regret)

    def interval(self, regret: float) -> tuple[float, float]:
        """A 90 % bootstrap interval of `reach`, over repeats."""
        rng = np.random.default_rng(0)
        repeats = len(self.compute)
        reached = []
        for _ in range(_BOOTSTRAPS):
            rows = rng.integers(repeats, size=repeats)
            reached.append(Curve(self.compute[rows], self.regret[rows]).reach(regret))
        low, high = np.quantile(reached, [0.05, 0.95], method="nearest")
        return float(low), float(high)


def anytime(traces: list[Trace], grid: Floats) -> Curve:
    """The curve of a method that can be ended at any time, at amounts of compute [g]."""
    rows = []
    for trace in traces:
        last = np.searchsorted(trace.compute, grid, side="right") - 1
        rows.append(np.where(last >= 0, trace.regret[np.maximum(last, 0)], math.inf))
    return Curve(np.repeat(grid[None], len(traces), axis=0), np.array(rows))


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
