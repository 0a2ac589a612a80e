"""Tuning curves: the median best of n trials of a family, with simultaneous bands.

After Lourie, Cho and He, "Show your work with confidence: confidence bands for tuning curves" (arXiv 2311.09480). The
median, not the mean: a search whose trials may diverge has no expected best.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.families.refusal import Refusal

Array = NDArray[np.float64]

FEWEST = 5
SIMULATIONS = 4000
# Origins of trials that no earlier trial led to.
INDEPENDENT = ("quasi-random", "random")


@dataclass(frozen=True)
class TuningCurve:
    """The best objective that n trials of one family reach, with probability one half.

    A trial that was stopped, diverged or failed counts as worse than every completed one, as it does for a search that
    stops early. Where a stopped trial would have overtaken the completed ones, the curve is too pessimistic.

    Attributes:
        workload, optimizer, budget, family: Which.
        sampling: "independent": of the quasi-random and random trials (of all where the origin is not recorded);
            "guided": too few of those, so of all explore trials, as if drawn independently, which trials guided by a
            model are not: the curve is too good for small n, and has no band.
        trials: Number of trials used.
        completed: Number of those that completed.
        best: Median best of n = 1, 2, ... trials, in units of the objective; None where that is no completed trial.
        low, high: Simultaneous 90 % band, of the same length; None where it has no end (fewer trials than that needs);
            empty if guided.
        why_not: Why there is no curve; None if there is one.
    """

    workload: str
    optimizer: str
    budget: int
    family: str
    sampling: Literal["independent", "guided"]
    trials: int
    completed: int
    best: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    why_not: Refusal | None


def tuning_curves(cell: pd.DataFrame) -> tuple[TuningCurve, ...]:
    """One curve a family of a cell, from its explore trials.

    Args:
        cell: Rows of the results table, one cell.
    """
    explore = cell[cell["phase"] == "explore"]
    if explore.empty:
        return ()
    minimise = str(cell["mode"].iloc[0]) == "min"
    family = explore["family"].to_numpy(dtype=object)
    origin = explore["origin"].to_numpy(dtype=object, na_value=INDEPENDENT[0])
    completed = explore["status"].to_numpy(dtype=object) == "completed"
    signed = explore["objective"].to_numpy(dtype=np.float64) * (1.0 if minimise else -1.0)
    values = np.where(completed & np.isfinite(signed), signed, np.inf)
    first = cell.iloc[0]
    key = (str(first["workload"]), str(first["optimizer"]), int(first["budget"]))
    return tuple(
        _curve(key, str(name), values[family == name], np.isin(origin[family == name], INDEPENDENT), minimise)
        for name in sorted(set(family))
    )


def _curve(
    key: tuple[str, str, int], family: str, values: Array, independent: NDArray[np.bool_], minimise: bool
) -> TuningCurve:
    guided = independent.sum() < FEWEST <= len(values)
    ordered = np.sort(values if guided else values[independent])
    completed = int(np.isfinite(ordered).sum())
    why_not: Refusal | None = None
    if len(ordered) < FEWEST:
        why_not = Refusal("few trials", len(ordered), family)
    elif not completed:
        why_not = Refusal("none completed", family=family)
    n = np.arange(1, len(ordered) + 1)
    best, low, high = (_signed(each, minimise) for each in best_of(ordered, n)) if why_not is None else ((), (), ())
    if not minimise:
        low, high = high, low
    return TuningCurve(
        *key,
        family=family,
        sampling="guided" if guided else "independent",
        trials=len(ordered),
        completed=completed,
        best=best,
        low=() if guided else low,
        high=() if guided else high,
        why_not=why_not,
    )


def best_of(ordered: Array, n: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Median of the smallest of n draws, and its band, from a sample.

    The smallest of n draws is at most y with probability 1 - (1 - F(y))^n, so its median is F's quantile
    1 - 2^(-1/n); the band follows from one of F that holds everywhere at once.

    Args:
        ordered: The sample in ascending order; a value worse than all that are known may be infinite.
        n: Numbers of draws.

    Returns:
        Median, lower and upper end of the band, each of n's shape; -inf where the lower end is below the sample.
    """
    level = 1.0 - 0.5 ** (1.0 / n)
    size = len(ordered)
    share = np.arange(1, size + 1) / size
    low, high = order_statistics_band(size)
    # F is at most high[i] just below the i-th value, so the quantile may lie as low as the value before it.
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    return (
        ordered[np.searchsorted(share, level - 1e-12)],
        padded[np.searchsorted(high, level)],
        padded[1 + np.searchsorted(low, level)],
    )


@cache
def order_statistics_band(size: int, confidence: float = CONFIDENCE) -> tuple[Array, Array]:
    """Where F is at the order statistics of a sample, all at once: F(y_i) is Beta(i, size + 1 - i) distributed.

    Equal tails for every i, of the probability at which a simulation holds them all with the confidence. It
    is closer at the best values, which tuning curves need, than the Dvoretzky-Kiefer-Wolfowitz band.

    Returns:
        Lower and upper ends, each of shape (size,).
    """
    i = np.arange(1, size + 1)
    uniform = np.sort(np.random.default_rng(size).uniform(size=(SIMULATIONS, size)), axis=1)
    tail = betainc(i, size + 1 - i, uniform)
    closest = np.minimum(tail, 1.0 - tail).min(axis=1)
    allowed = float(np.quantile(closest, 1.0 - confidence))
    low, high = (betaincinv(i, size + 1 - i, tail) for tail in (allowed, 1.0 - allowed))
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def _signed(values: Array, minimise: bool) -> tuple[float | None, ...]:
    signed = values if minimise else -values
    return tuple(float(v) if np.isfinite(v) else None for v in signed)
