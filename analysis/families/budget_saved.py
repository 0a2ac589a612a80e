"""Gains as budget saved: the share of its iterations in which a family reaches what a baseline reaches in all of them.

For one workload and optimizer, the baseline's quality at its best LR is a curve over the budgets searched. A family's
quality at budget T is looked up on it: the baseline reaches it at T_b, so the family needs T / T_b of the iterations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.families.compare import BASELINES, CONFIDENCE, Comparison
from phitune.analysis.surface.outcomes import Scale

Array = NDArray[np.float64]

DRAWS = 1000
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
        seeds: Seeds that both have at this budget.
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
    bound: Literal["less than", "more than"] | None
    interval: tuple[float | None, float | None] | None
    seeds: int
    budgets: int
    why_not: str | None


@dataclass(frozen=True)
class _Runs:
    """One family's replicates on the fitting scale, by seed, and the phi they were run at."""

    values: "pd.Series[float]"
    phi: float | None


def budget_saved(cells: list[tuple[pd.DataFrame, Comparison]], seed: int = 0) -> tuple[BudgetSaved, ...]:
    """Budget saved by every family against every baseline at every budget.

    Seed noise is taken to be the same at all budgets on the fitting scale (`outcomes.Scale`), so that a few seeds a
    budget make one estimate of it: residuals, paired by seed, are pooled over the budgets, and means are drawn from
    the t distribution that follows (a parametric bootstrap over seeds; drawing anew from two or three seeds themselves
    would give intervals far too short). Each draw of the baseline's curve is made monotone (isotonic regression) and
    inverted, linear in the logarithm of the budget. What the curve does between two budgets is not in the interval.

    Args:
        cells: Rows and comparison of each cell of one workload and optimizer.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    evident = [(rows, c) for rows, c in cells if c.evidence != "explore"]
    runs = _runs(evident)
    exact = bool(evident) and all(c.evidence == "exact" for _, c in evident)
    families = sorted({family for at in runs.values() for family in at})
    out = []
    for baseline in BASELINES:
        for family in families:
            if family != baseline:
                out += _against(cells[0][0], runs, family, baseline, exact, rng)
    return tuple(out)


def _runs(cells: list[tuple[pd.DataFrame, Comparison]]) -> dict[int, dict[str, _Runs]]:
    """By budget and family."""
    done = [rows[(rows["status"] == "completed") & (rows["phase"] == "replicate")] for rows, _ in cells]
    if not done:
        return {}
    everything = pd.concat(done)
    scale = Scale.of(everything["objective"].to_numpy(dtype=np.float64), str(everything["mode"].iloc[0]))
    out: dict[int, dict[str, _Runs]] = {}
    for rows, (_, comparison) in zip(done, cells, strict=True):
        at = out.setdefault(int(rows["budget"].iloc[0]), {})
        for found in comparison.families:
            mine = rows[rows["finalist"] == found.trial_id].drop_duplicates("seed")
            values = scale.forward(mine["objective"].to_numpy(dtype=np.float64))
            at[found.family] = _Runs(pd.Series(values, index=mine["seed"].to_numpy()), found.phi)
    return dict(sorted(out.items()))


def _against(
    cell: pd.DataFrame,
    runs: Mapping[int, Mapping[str, _Runs]],
    family: str,
    baseline: str,
    exact: bool,
    rng: np.random.Generator,
) -> list[BudgetSaved]:
    curve = {budget: at[baseline].values for budget, at in runs.items() if baseline in at}
    both = {budget: _paired(at[family].values, at[baseline].values) for budget, at in runs.items() if
            family in at and baseline in at}  # fmt: skip
    if not both:
        return []
    budgets = np.array(list(curve), dtype=np.float64)
    places = [list(curve).index(budget) for budget in both]
    baseline_mean = np.array([v.mean() for v in curve.values()])
    # The family's advantage rests on shared seeds: their common luck is not in it.
    family_mean = baseline_mean[places] + [float((p[:, 0] - p[:, 1]).mean()) for p in both.values()]
    freedom = sum(len(p) - 1 for p in both.values())
    why_not = None
    if len(budgets) < MIN_BUDGETS:
        why_not = f"{baseline} is known at one budget only"
    elif not exact and freedom < 1:
        why_not = f"{family} and {baseline} share fewer than two seeds at every budget"
    ends = None
    if why_not is None:
        drawn = _draws(curve, both, places, 0 if exact else freedom, rng)
        change = drawn[0][:, 0] - drawn[0][:, -1]
        if np.quantile(change, 0.5 - CONFIDENCE / 2) <= 0:
            why_not = f"{baseline} does not improve with the budget by more than its noise"
        else:
            ends = [_percent(budgets, drawn[0], drawn[1][:, i], budget) for i, budget in enumerate(both)]
    out = []
    for i, budget in enumerate(both):
        percent, bound, interval = None, None, None
        if ends is not None:
            middle = _percent(budgets, baseline_mean[None], family_mean[None, i], budget)[0]
            percent, bound = _bounded(float(middle), budget, budgets)
            interval = _interval(ends[i], budget, budgets)
        out.append(
            BudgetSaved(
                workload=str(cell["workload"].iloc[0]),
                optimizer=str(cell["optimizer"].iloc[0]),
                budget=budget,
                family=family,
                phi=runs[budget][family].phi,
                baseline=baseline,
                percent=percent,
                bound=bound,
                interval=interval,
                seeds=len(set(runs[budget][family].values.index) & set(runs[budget][baseline].values.index)),
                budgets=len(budgets),
                why_not=why_not,
            )
        )
    return out


def _paired(ours: "pd.Series[float]", theirs: "pd.Series[float]") -> Array:
    """Values of shared seeds, shape (n, 2); the two means if they share none."""
    pairs = pd.concat([ours, theirs], axis=1, join="inner").to_numpy(dtype=np.float64)
    return pairs if len(pairs) else np.array([[ours.mean(), theirs.mean()]])


def _draws(
    curve: Mapping[int, "pd.Series[float]"],
    both: Mapping[int, Array],
    places: list[int],
    freedom: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Draws of the baseline's means (draws × its budgets) and of the family's (draws × shared budgets)."""
    pooled = np.zeros((2, 2))
    if freedom:
        pooled = sum(((p - p.mean(axis=0)).T @ (p - p.mean(axis=0)) for p in both.values()), pooled) / freedom
    wide = np.sqrt(freedom / rng.chisquare(freedom, DRAWS))[:, None] if freedom else np.ones((DRAWS, 1))
    seeds = np.array([len(v) for v in curve.values()], dtype=np.float64)
    luck = rng.standard_normal((DRAWS, len(seeds))) * wide * np.sqrt(pooled[1, 1] / seeds)
    means = np.array([v.mean() for v in curve.values()])
    # Given the baseline's luck, the family's follows it as far as the pairs do.
    slope = pooled[0, 1] / pooled[1, 1] if pooled[1, 1] > 0 else 0.0
    rest = max(float(pooled[0, 0] - slope * pooled[0, 1]), 0.0)
    shared = np.array([len(p) for p in both.values()], dtype=np.float64)
    own = rng.standard_normal((DRAWS, len(shared))) * wide * np.sqrt(rest / shared)
    gains = np.array([float((p[:, 0] - p[:, 1]).mean()) for p in both.values()])
    return means + luck, means[places] + gains + slope * luck[:, places] + own


def _percent(budgets: Array, curves: Array, values: Array, budget: int) -> Array:
    """100 T / T_b for each curve (rows) and value; -inf (inf) where the value is better (worse) than the curve's."""
    curves = decreasing(curves)
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


def decreasing(curves: Array) -> Array:
    """The least-squares decreasing curve of each row (isotonic regression by its minimax formula)."""
    k = curves.shape[1]
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    out = np.empty_like(curves)
    for i in range(k):
        # Smallest over j <= i of the largest over e >= i of the mean of j..e.
        means = [[(sums[:, e + 1] - sums[:, j]) / (e + 1 - j) for e in range(i, k)] for j in range(i + 1)]
        out[:, i] = np.min([np.max(over, axis=0) for over in means], axis=0)
    return out


def _bounded(percent: float, budget: int, budgets: Array) -> tuple[float, Literal["less than", "more than"] | None]:
    if percent == -np.inf:
        return float(100.0 * budget / budgets[-1]), "less than"
    if percent == np.inf:
        return float(100.0 * budget / budgets[0]), "more than"
    return percent, None


def _interval(percents: Array, budget: int, budgets: Array) -> tuple[float | None, float | None]:
    low = float(np.quantile(percents, 0.5 - CONFIDENCE / 2, method="inverted_cdf"))
    high = float(np.quantile(percents, 0.5 + CONFIDENCE / 2, method="inverted_cdf"))
    # Beyond the evidence on the inner side an end is where the evidence ends; on the outer side there is none.
    return (
        None if low == -np.inf else min(low, float(100.0 * budget / budgets[0])),
        None if high == np.inf else max(high, float(100.0 * budget / budgets[-1])),
    )
