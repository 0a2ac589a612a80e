"""Curves of quality over budgets, made monotone, and the budgets at which they reach a quality."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from phitune.analysis.families.gain import CONFIDENCE

Array = NDArray[np.float64]
Bound = Literal["less than", "more than"]


def decreasing(curves: Array) -> Array:
    """The least-squares decreasing curve of each row (isotonic regression).

    Args:
        curves: Shape (curves, budgets); smaller is better.
    """
    monotone = curves.copy()
    for row in np.flatnonzero((np.diff(curves, axis=1) > 0).any(axis=1)):
        monotone[row] = isotonic_regression(curves[row], increasing=False).x
    return monotone


def percent_needed(budgets: Array, curves: Array, values: Array, budget: int) -> Array:
    """A budget in per cent of that at which a curve reaches a value; linear in the logarithm of the budget.

    Args:
        budgets: Of the curves, ascending, in iterations; shape (budgets,).
        curves: Decreasing; shape (curves, budgets).
        values: One for each curve; shape (curves,).
        budget: The budget to express, in iterations.

    Returns:
        Shape (curves,); -inf (inf) where the value is better (worse) than all of the curve.
    """
    reached = curves <= values[:, None]
    first = reached.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    at = np.arange(len(values))
    fall = curves[at, before] - curves[at, first]
    part = np.divide(curves[at, before] - values, fall, out=np.ones_like(fall), where=fall > 0)
    logs = np.log(budgets)
    needed = logs[before] + part * (logs[first] - logs[before])
    percent = 100.0 * np.exp(np.log(budget) - needed)
    percent = np.where(curves[:, 0] < values, np.inf, percent)
    return np.where(reached.any(axis=1), percent, -np.inf)


def bounded(percent: float, budget: int, budgets: Array) -> tuple[float, Bound | None]:
    """A figure of `percent_needed`, or the end of the evidence and on which side of it the figure lies."""
    if percent == -np.inf:
        return float(100.0 * budget / budgets[-1]), "less than"
    if percent == np.inf:
        return float(100.0 * budget / budgets[0]), "more than"
    return percent, None


def interval(percents: Array, budget: int, budgets: Array) -> tuple[float | None, float | None]:
    """90 % interval from draws of `percent_needed`; an end beyond the budgets searched is None.

    On its inner side, an end beyond the evidence is put where the evidence ends.
    """
    low = float(np.quantile(percents, 0.5 - CONFIDENCE / 2, method="inverted_cdf"))
    high = float(np.quantile(percents, 0.5 + CONFIDENCE / 2, method="inverted_cdf"))
    return (
        None if low == -np.inf else min(low, float(100.0 * budget / budgets[0])),
        None if high == np.inf else max(high, float(100.0 * budget / budgets[-1])),
    )
