"""Gains as budget saved: the share of its iterations in which a family reaches what a baseline reaches in all of them.

For one workload and optimizer, the baseline's quality at its best LR is a curve over the budgets searched. A family's
quality at budget T is looked up on it: the baseline reaches it at T_b, so the family needs T / T_b of the iterations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.families.budget_curve import Bound, bounded, decreasing, interval, percent_needed
from phitune.analysis.families.compare import BASELINES, Comparison
from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.families.refusal import Refusal
from phitune.analysis.results.table import CellKey

Array = NDArray[np.float64]

MIN_BUDGETS = 2


@dataclass(frozen=True)
class BudgetSaved:
    """What a family at one budget saves against a baseline.

    Attributes:
        workload, optimizer, budget, family, baseline: Which; `budget` (iterations) is the family's.
        phi: UBA's phi at that budget, None for other families.
        percent: 100 T / T_b, iterations of the family in per cent of those the baseline needs for the same quality;
            with `bound`, the end of the evidence. None with `why_not`.
        bound: "less than" where the family is better than the baseline at its largest budget, "more than" where it is
            worse than the baseline at its smallest; None where T_b lies within the budgets searched.
        interval: 90 %; an end is None where it lies beyond the budgets searched, so that it is unknown.
        budgets: Number of budgets at which the baseline is known.
        why_not: Why there is no figure; None if there is one.
    """

    workload: str
    optimizer: str
    budget: int
    family: str
    phi: float | None
    baseline: str
    percent: float | None
    bound: Bound | None
    interval: tuple[float | None, float | None] | None
    budgets: int
    why_not: Refusal | None


def budget_saved(cells: Mapping[CellKey, Comparison], seed: int = 0) -> tuple[BudgetSaved, ...]:
    """Budget saved by every family against every baseline at every budget.

    Each draw of the baseline's curve is made monotone (isotonic regression) and inverted, linear in the logarithm of
    the budget. What the curve does between two budgets is not in the interval.

    Args:
        cells: The comparisons of one workload and optimizer.
        seed: Of the draws' order: cells are independent of each other.
    """
    rng = np.random.default_rng(seed)
    known = {key: c for key, c in sorted(cells.items(), key=lambda item: item[0][2]) if c.families}
    fitted = {key: _shuffled(_common(c, known), rng) for key, c in known.items()}
    savings: list[BudgetSaved] = []
    for baseline in BASELINES:
        keys = [key for key, each in fitted.items() if baseline in each]
        families = sorted({family for key in keys for family in fitted[key]} - {baseline})
        curves = np.stack([fitted[key][baseline] for key in keys], axis=1) if keys else np.empty((0, 0))
        for family in families:
            for key in keys:
                if family in fitted[key]:
                    result = known[key].get(family)
                    phi = result.phi if result is not None else None
                    pair = BudgetSaved(*key, family, phi, baseline, None, None, None, len(keys), None)
                    savings.append(_figure(pair, [k[2] for k in keys], curves, fitted[key][family]))
    return tuple(savings)


def _common(comparison: Comparison, cells: Mapping[CellKey, Comparison]) -> dict[str, Array]:
    """Each family's draws on a scale that all cells share; smaller is better."""
    scale = comparison.scale
    if scale.relative and all(c.scale.kind == scale.kind for c in cells.values()):
        return comparison.fitted
    sign = -1.0 if scale.kind == "log_error" or scale.unit < 0 else 1.0
    inverse = np.vectorize(scale.inverse, otypes=[np.float64])
    return {family: sign * inverse(draws) for family, draws in comparison.fitted.items()}


def _shuffled(fitted: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    order = rng.permutation(len(next(iter(fitted.values()))))
    return {family: draws[order] for family, draws in fitted.items()}


def _figure(pair: BudgetSaved, budgets: list[int], curves: Array, values: Array) -> BudgetSaved:
    """The figure or its refusal, from draws of the baseline's curve (s, budgets) and of the family (s,)."""
    if len(budgets) < MIN_BUDGETS:
        return replace(pair, why_not=Refusal("one budget", baseline=pair.baseline))
    if np.quantile(curves[:, 0] - curves[:, -1], 0.5 - CONFIDENCE / 2) <= 0:
        return replace(pair, why_not=Refusal("flat baseline", baseline=pair.baseline))
    at, budget = np.array(budgets, dtype=np.float64), pair.budget
    # Family and baseline are compared draw by draw, so that what they share falls out.
    own = budgets.index(budget)
    middle = np.median(curves, axis=0)
    value = middle[own] + np.median(values - curves[:, own])
    percent, bound = bounded(float(percent_needed(at, decreasing(middle[None]), value[None], budget)[0]), budget, at)
    ends = interval(percent_needed(at, decreasing(curves), values, budget), budget, at)
    return replace(pair, percent=percent, bound=bound, interval=ends)
