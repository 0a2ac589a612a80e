"""Gains as budget saved: the share of its iterations in which a family reaches what a baseline reaches in all of them.

For one workload and optimizer, the baseline's quality at its best LR is a curve over the budgets searched. A family's
quality at budget T is looked up on it: the baseline reaches it at T_b, so the family needs T / T_b of the iterations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.families.budget_curve import Bound, bounded, decreasing, interval, percent_needed
from phitune.analysis.families.compare import BASELINES, Comparison
from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.families.refusal import Refusal
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
    bound: Bound | None
    interval: tuple[float | None, float | None] | None
    seeds: int
    budgets: int
    why_not: Refusal | None


def budget_saved(cells: list[tuple[pd.DataFrame, Comparison]], seed: int = 0) -> tuple[BudgetSaved, ...]:
    """Budget saved by every family against every baseline at every budget.

    Seed noise is taken to be the same at all budgets on the fitting scale (`outcomes.Scale`), so that a few seeds a
    budget make one estimate of it: residuals, paired by seed, are pooled over the budgets, and means are drawn from
    the t distribution that follows (a parametric bootstrap over seeds; resampling two or three seeds themselves would
    give intervals far too short). Each draw of the baseline's curve is made monotone (isotonic regression) and
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
    first = cells[0][0].iloc[0]
    group = str(first["workload"]), str(first["optimizer"])
    savings: list[BudgetSaved] = []
    for baseline in BASELINES:
        for family in families:
            if family != baseline:
                savings += _against(group, _Pair(family, baseline, runs), exact, rng)
    return tuple(savings)


@dataclass(frozen=True)
class _Runs:
    """One family's replicates on the fitting scale, by seed, and the phi they were run at."""

    values: "pd.Series[float]"
    phi: float | None


def _runs(cells: list[tuple[pd.DataFrame, Comparison]]) -> dict[int, dict[str, _Runs]]:
    """Replicates by budget and family."""
    completed = [rows[(rows["status"] == "completed") & (rows["phase"] == "replicate")] for rows, _ in cells]
    if not completed:
        return {}
    replicates = pd.concat(completed)
    scale = Scale.of(replicates["objective"].to_numpy(dtype=np.float64), str(replicates["mode"].iloc[0]))
    runs: dict[int, dict[str, _Runs]] = {}
    for rows, (_, comparison) in zip(completed, cells, strict=True):
        at = runs.setdefault(int(rows["budget"].iloc[0]), {})
        for result in comparison.families:
            mine = rows[rows["finalist"] == result.trial_id].drop_duplicates("seed")
            values = scale.forward(mine["objective"].to_numpy(dtype=np.float64))
            at[result.family] = _Runs(pd.Series(values, index=mine["seed"].to_numpy()), result.phi)
    return dict(sorted(runs.items()))


@dataclass(frozen=True)
class _Pair:
    """The replicates of a family and a baseline.

    Attributes:
        runs: Replicates of all families by budget, ascending.
    """

    family: str
    baseline: str
    runs: Mapping[int, Mapping[str, _Runs]]

    @cached_property
    def curve(self) -> "dict[int, pd.Series[float]]":
        """The baseline's values at each of its budgets."""
        return {budget: at[self.baseline].values for budget, at in self.runs.items() if self.baseline in at}

    @cached_property
    def shared(self) -> dict[int, Array]:
        """At each budget that both have, values of shared seeds (n × 2: family, baseline), or the two means."""
        both = (budget for budget, at in self.runs.items() if self.family in at and self.baseline in at)
        return {b: _paired(self.runs[b][self.family].values, self.runs[b][self.baseline].values) for b in both}

    @cached_property
    def places(self) -> list[int]:
        """Positions of the shared budgets in the curve."""
        return [list(self.curve).index(budget) for budget in self.shared]

    @cached_property
    def means(self) -> Array:
        """The baseline's mean at each of its budgets."""
        return np.array([values.mean() for values in self.curve.values()])

    @cached_property
    def advantages(self) -> Array:
        """Mean of family less baseline over shared seeds, whose luck falls out, at each shared budget."""
        return np.array([float((pairs[:, 0] - pairs[:, 1]).mean()) for pairs in self.shared.values()])

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the pooled seed noise."""
        return sum(len(pairs) - 1 for pairs in self.shared.values())

    def refusal(self, exact: bool) -> Refusal | None:
        """Why nothing can be said; None if something can."""
        if len(self.curve) < MIN_BUDGETS:
            return Refusal("one budget", baseline=self.baseline)
        if not exact and self.freedom < 1:
            return Refusal("few shared seeds", family=self.family, baseline=self.baseline)
        return None


def _paired(ours: "pd.Series[float]", theirs: "pd.Series[float]") -> Array:
    """Values of shared seeds, shape (n, 2); the two means if they share none."""
    pairs = pd.concat([ours, theirs], axis=1, join="inner").to_numpy(dtype=np.float64)
    return pairs if len(pairs) else np.array([[ours.mean(), theirs.mean()]])


def _against(group: tuple[str, str], pair: _Pair, exact: bool, rng: np.random.Generator) -> list[BudgetSaved]:
    if not pair.shared:
        return []
    budgets = np.array(list(pair.curve), dtype=np.float64)
    refusal = pair.refusal(exact)
    drawn = _draws(pair, 0 if exact else pair.freedom, rng) if refusal is None else None
    if drawn is not None and np.quantile(drawn[0][:, 0] - drawn[0][:, -1], 0.5 - CONFIDENCE / 2) <= 0:
        refusal, drawn = Refusal("flat baseline", baseline=pair.baseline), None
    curve, values = decreasing(pair.means[None]), pair.means[pair.places] + pair.advantages
    curves = None if drawn is None else decreasing(drawn[0])
    savings = []
    for i, budget in enumerate(pair.shared):
        percent, bound, ends = None, None, None
        if drawn is not None and curves is not None:
            middle = percent_needed(budgets, curve, values[None, i], budget)[0]
            percent, bound = bounded(float(middle), budget, budgets)
            ends = interval(percent_needed(budgets, curves, drawn[1][:, i], budget), budget, budgets)
        ours, theirs = (pair.runs[budget][name] for name in (pair.family, pair.baseline))
        savings.append(
            BudgetSaved(
                *group,
                budget=budget,
                family=pair.family,
                phi=ours.phi,
                baseline=pair.baseline,
                percent=percent,
                bound=bound,
                interval=ends,
                seeds=len(set(ours.values.index) & set(theirs.values.index)),
                budgets=len(budgets),
                why_not=refusal,
            )
        )
    return savings


def _draws(pair: _Pair, freedom: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws of the baseline's means (draws × its budgets) and of the family's (draws × shared budgets).

    Args:
        freedom: Degrees of freedom of the seed noise; 0 for none.
    """
    pooled = np.zeros((2, 2))
    if freedom:
        centred = [pairs - pairs.mean(axis=0) for pairs in pair.shared.values()]
        pooled = sum((each.T @ each for each in centred), pooled) / freedom
    wide = np.sqrt(freedom / rng.chisquare(freedom, DRAWS))[:, None] if freedom else np.ones((DRAWS, 1))
    seeds = np.array([len(values) for values in pair.curve.values()], dtype=np.float64)
    luck = rng.standard_normal((DRAWS, len(seeds))) * wide * np.sqrt(pooled[1, 1] / seeds)
    # Conditional on the baseline's luck, the family's follows it as far as the pairs do.
    slope = pooled[0, 1] / pooled[1, 1] if pooled[1, 1] > 0 else 0.0
    rest = max(float(pooled[0, 0] - slope * pooled[0, 1]), 0.0)
    shared = np.array([len(pairs) for pairs in pair.shared.values()], dtype=np.float64)
    own = rng.standard_normal((DRAWS, len(shared))) * wide * np.sqrt(rest / shared)
    middle = pair.means[pair.places] + pair.advantages
    return pair.means + luck, middle + slope * luck[:, pair.places] + own
