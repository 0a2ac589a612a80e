"""What more trials could bring: the regret of a choice, over the functions that the trials leave possible.

That is the value of perfect information (Raiffa and Schlaifer, Applied Statistical Decision Theory, 1961): no number of
trials brings more, within the families and ranges that were searched. Its 90 % quantile is given, which holds in
simulated studies (`benchmarks.validity simulated`); its mean is too high where several budgets support each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate.scale import Scale

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """Draws of a cell's best configuration: over families, their parameters and LRs.

    Attributes:
        fitted: Draws of its objective on the fitting scale, shape (s,).
        shares: In which share of the draws each family has it.
    """

    fitted: Array
    shares: Mapping[str, float]

    @classmethod
    def of(cls, lowest: Mapping[str, Array]) -> "Optimum":
        """The best of the families' draws, each (s,) on the fitting scale, from the same functions."""
        values = np.array(list(lowest.values()))
        shares = np.bincount(values.argmin(axis=0), minlength=len(values)) / values.shape[1]
        return cls(values.min(axis=0), dict(zip(lowest, shares.tolist(), strict=True)))


@dataclass(frozen=True)
class PossibleRegret:
    """By how much the best of a cell may be better than what is recommended.

    Attributes:
        most: 90 % quantile over the draws, in per cent of the objective; in units of the objective unless `relative`.
        relative: Whether these are in per cent: an objective that crosses zero has none.
        negligible: Whether the 90 % quantile is within what counts as equal.
        shares: See `Optimum`.
    """

    most: float
    relative: bool
    negligible: bool
    shares: Mapping[str, float]

    @classmethod
    def of(cls, chosen: Array, optimum: Optimum, scale: Scale, delta: float) -> "PossibleRegret":
        """The regret of a choice.

        Args:
            chosen: Draws of its objective on the fitting scale, shape (s,).
            optimum: The best configuration by the same draws. The choice itself is a candidate, too.
            scale: The fitting scale.
            delta: What counts as equal on it.
        """
        best = np.minimum(chosen, optimum.fitted)
        regret = scale.improvement(best, chosen)
        negligible = bool(np.quantile(chosen - best, 0.9) <= delta)
        return cls(float(np.quantile(regret, 0.9)), scale.relative, negligible, optimum.shares)
