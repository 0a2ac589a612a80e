"""Scores over many cells: interquartile mean and performance profiles, with stratified bootstrap intervals.

After Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (arXiv 2108.13264). The
score of a run is exp(-its loss of quality against the cell's best family) on the fitting scale (`surrogate.scale`): for
a loss, the best family's mean (geometric) over the run's; for an accuracy, the same of the errors. 1 is as good as the
best family, 0.9 about ten per cent worse, 0 a run that diverged. Where an objective crosses zero, 0.9 is a tenth of the
spread of its better replicates worse, which is something else: such cells are left out, unless there are no others.

The best family's mean is the best of several measured ones and so a lucky one: families that are equal all score below
1, by about half a seed's noise with two seeds, and no interval reaches back to 1. Between families the bias cancels.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from phitune.analysis.families.compare import replicates_of
from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.families.refusal import Refusal
from phitune.analysis.surrogate.scale import Scale

Array = NDArray[np.float64]

DRAWS = 1000
THRESHOLDS = np.round(np.linspace(0.5, 1.05, 56), 2)


@dataclass(frozen=True)
class FamilyScore:
    """A family's scores over the cells.

    Attributes:
        family: Name of the family.
        iqm: Interquartile mean of its runs' scores, every cell with the same weight.
        interval: 90 % stratified bootstrap interval: seeds are resampled within each cell, the same for all families
            where they share them; the cells stay. It is widened by sqrt(n / (n - 1)), n the seeds a cell, since
            resampling few seeds shows too little of their spread, and by the t quantile over the normal one. It holds
            the true mean of a family that is clearly behind in most cells; see above for those that are equal.
        profile: For each of `Scores.thresholds`, the share of runs that score at least that.
        profile_low, profile_high: Pointwise 90 % intervals of the profile, computed in the same way.
    """

    family: str
    iqm: float
    interval: tuple[float, float]
    profile: tuple[float, ...]
    profile_low: tuple[float, ...]
    profile_high: tuple[float, ...]


@dataclass(frozen=True)
class Scores:
    """Families by interquartile mean, best first.

    Attributes:
        families: One each; empty with `why_not`.
        thresholds: Of the profiles.
        cells: Number of cells used: those with two fresh seeds (one without seed noise) of every family.
        left_out: All others.
        why_not: Why there are no scores; None if there are.
    """

    families: tuple[FamilyScore, ...]
    thresholds: tuple[float, ...]
    cells: int
    left_out: int
    why_not: Refusal | None


def score_families(cells: list[pd.DataFrame], seed: int = 0) -> Scores:
    """Score the families that were trained again, over cells.

    Args:
        cells: Each cell's rows.
        seed: Of the bootstrap.
    """
    runs_of = [fitted_runs(rows) for rows in cells]
    everyone = sorted({family for runs in runs_of for family in runs})
    whole = [(runs, rows) for runs, rows in zip(runs_of, cells, strict=True) if everyone and set(runs) == set(everyone)]
    of_one_unit = [(runs, rows) for runs, rows in whole if replicate_scale(rows).relative] or whole
    scored = [runs for runs, _ in of_one_unit]
    why_not: Refusal | None = None
    if not everyone or not scored:
        why_not = Refusal("few seeds")
    elif len(everyone) < 2:
        why_not = Refusal("one family")
    rng = np.random.default_rng(seed)
    scores: list[FamilyScore] = []
    if why_not is None:
        measured = [
            run_scores({name: np.asarray(values, dtype=np.float64) for name, values in runs.items()}) for runs in scored
        ]
        drawn = [run_scores(_drawn(runs, rng)) for runs in scored]
        scores = [_family_score(name, [s[name] for s in measured], [d[name] for d in drawn]) for name in everyone]
    return Scores(
        families=tuple(sorted(scores, key=lambda f: -f.iqm)),
        thresholds=tuple(THRESHOLDS.tolist()),
        cells=0 if why_not else len(scored),
        left_out=len(cells) - (0 if why_not else len(scored)),
        why_not=why_not,
    )


def fitted_runs(cell: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    """Each family's replicates in one cell on the fitting scale, by seed; empty without enough of them.

    One that diverged is infinitely bad.
    """
    names = sorted(set(cell.loc[cell["phase"] == "replicate", "family"]))
    rows = {name: replicates_of(cell, name) for name in names}
    scale = replicate_scale(cell)
    fewest = 1 if cell["deterministic"].astype(bool).all() else 2
    if not rows or min(map(len, rows.values())) < fewest:
        return {}
    runs = {}
    for name, mine in rows.items():
        values = scale.forward(mine["objective"].to_numpy(dtype=np.float64))
        runs[name] = pd.Series(np.where(mine["status"] == "diverged", np.inf, values), index=mine["seed"].to_numpy())
    return runs


def replicate_scale(cell: pd.DataFrame) -> Scale:
    """The scale on which a cell's replicates are compared."""
    done = cell[(cell["phase"] == "replicate") & (cell["status"] == "completed")]
    return Scale.of(done["objective"].dropna().to_numpy(dtype=np.float64), str(cell["mode"].iloc[0]))


def run_scores(fitted: dict[str, Array]) -> dict[str, Array]:
    """Scores of one cell's runs.

    Args:
        fitted: By family, values on the fitting scale, shape (..., seeds).
    """
    best = np.min([each.mean(axis=-1) for each in fitted.values()], axis=0)
    best = np.where(np.isfinite(best), best, 0.0)
    return {family: np.exp(best[..., None] - each) for family, each in fitted.items()}


def interquartile_mean(scores: Array, weights: Array) -> Array:
    """Mean of the middle half of the weight, over the last axis.

    Args:
        scores: Shape (..., n).
        weights: Shape (n,), positive.
    """
    order = np.argsort(scores, axis=-1)
    share = weights[order] / weights.sum()
    upper = np.cumsum(share, axis=-1)
    inside = np.clip(np.minimum(upper, 0.75) - np.maximum(upper - share, 0.25), 0.0, None)
    return np.asarray((np.take_along_axis(scores, order, -1) * inside).sum(axis=-1) / 0.5, dtype=np.float64)


def _drawn(runs: "dict[str, pd.Series[float]]", rng: np.random.Generator) -> dict[str, Array]:
    """Bootstrap draws of each family's runs, shape (draws, seeds)."""
    shared = len({tuple(values.index) for values in runs.values()}) == 1
    picks: dict[str, NDArray[np.int64]] = {}
    for family, values in runs.items():
        first = next(iter(picks.values()), None)
        picks[family] = first if shared and first is not None else rng.integers(len(values), size=(DRAWS, len(values)))
    return {family: np.asarray(values, dtype=np.float64)[picks[family]] for family, values in runs.items()}


def _family_score(family: str, measured: list[Array], drawn: list[Array]) -> FamilyScore:
    weights = np.concatenate([np.full(len(each), 1.0 / len(each)) for each in measured])
    seeds, freedom = len(weights) / len(measured), len(weights) - len(measured)
    tail = 0.5 + CONFIDENCE / 2
    wider = np.sqrt(seeds / (seeds - 1.0)) * student_t.ppf(tail, freedom) / norm.ppf(tail) if freedom else 1.0
    scores, draws = np.concatenate(measured), np.concatenate(drawn, axis=1)
    share = weights / weights.sum()
    iqm, profile = interquartile_mean(scores, weights), (scores >= THRESHOLDS[:, None]) @ share
    drawn_profiles = np.stack([(draws >= threshold) @ share for threshold in THRESHOLDS], axis=1)
    tails = [1.0 - tail, tail]
    low, high = iqm + wider * (np.quantile(interquartile_mean(draws, weights), tails) - iqm)
    band = np.clip(profile + wider * (np.quantile(drawn_profiles, tails, axis=0) - profile), 0.0, 1.0)
    return FamilyScore(
        family=family,
        iqm=float(iqm),
        interval=(float(low), float(high)),
        profile=tuple(profile.tolist()),
        profile_low=tuple(band[0].tolist()),
        profile_high=tuple(band[1].tolist()),
    )
