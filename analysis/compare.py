"""Families against each other in a cell, each at its own best LR: paired by seed, with intervals.

A family is represented by its best completed explore trial. Its replicates - fresh seeds, run to the end - give the
figures, so that choosing the best does not flatter it. Without replicates the explore values themselves are compared;
they are biased towards families with more trials, and say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.outcomes import Scale

Array = NDArray[np.float64]
Evidence = Literal["replicates", "exact", "explore"]

BASELINES = ("cosine", "linear")
BOOTSTRAPS = 2000
CONFIDENCE = 0.9
_NUMBERS = ("objective", "seed", "phi", "base_lr", "val_metric", "test_metric")
_WORDS = ("status", "phase", "family", "trial_id", "finalist", "mode", "schedule")


@dataclass(frozen=True)
class Gain:
    """How much better one configuration is than another, in per cent of the other's objective; positive is better.

    Attributes:
        percent: Mean difference.
        interval: 90 % t interval, paired by seed; None with fewer than two pairs; a point where the workload has no
            seed noise.
        n: Number of pairs (seeds).
        probability: Probability of improvement: the share of bootstrap means above zero; None with fewer than two
            pairs.
        evidence: "replicates" (fresh seeds), "exact" (no seed noise), or "explore" (one run each, chosen as the best:
            biased).
    """

    percent: float
    interval: tuple[float, float] | None
    n: int
    probability: float | None
    evidence: Evidence

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True)
class FamilyResult:
    """One family at its best in one cell.

    Attributes:
        family: Its name.
        trial_id: The explore trial that stands for it.
        phi: UBA's phi, None for other families.
        base_lr: Its base LR.
        base_lr_interval: Range of base LRs of the family's completed trials that came within `delta` of its best; None
            when there is only one.
        schedule: The schedule as JSON.
        objective: Mean over replicates, or the explore value if there are none.
        metric: The same for the workload's metric (validation).
        test_metric: Mean test metric over replicates; NaN if there are none.
        replicates: Number of replicates.
        trials: Explore trials of this family.
        gains: Against each baseline of `BASELINES` that the cell has, other than itself.
    """

    family: str
    trial_id: str
    phi: float | None
    base_lr: float
    base_lr_interval: tuple[float, float] | None
    schedule: str
    objective: float
    metric: float
    test_metric: float
    replicates: int
    trials: int
    gains: dict[str, Gain]


@dataclass(frozen=True)
class Comparison:
    """All families of a cell, best first.

    Attributes:
        families: One result each, sorted by objective, best first.
        evidence: What the figures rest on.
        set_aside: Families whose best trial diverged on a fresh seed; not compared, unless there are no others.
    """

    families: tuple[FamilyResult, ...]
    evidence: Evidence
    set_aside: tuple[str, ...] = ()

    def get(self, family: str) -> FamilyResult | None:
        """The family's result, None if it has no completed trial."""
        return next((f for f in self.families if f.family == family), None)


def compare_cell(cell: pd.DataFrame, delta: float = 0.01, seed: int = 0) -> Comparison:
    """Compare the families of one cell.

    Args:
        cell: Rows of the results table, one cell.
        delta: Relative difference in the objective that counts as equal, for the LR intervals.
        seed: Of the bootstrap.

    Returns:
        The comparison; without families if nothing completed.
    """
    rng = np.random.default_rng(seed)
    # Arrays: pandas takes its time over hundreds of small tables.
    word = {c: cell[c].to_numpy(dtype=object, na_value="") for c in _WORDS}
    number = {c: cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in _NUMBERS}
    mode = str(word["mode"][0])
    signed = number["objective"] if mode == "min" else -number["objective"]
    done = (word["status"] == "completed") & np.isfinite(signed)
    replicate = word["phase"] == "replicate"
    repeated = set(word["finalist"][replicate])
    # Of equally good trials the one that was replicated.
    unrepeated = np.array([trial not in repeated for trial in word["trial_id"]])
    explore = np.flatnonzero(done & (word["phase"] == "explore"))
    explore = explore[np.lexsort((unrepeated[explore], signed[explore]))]
    best: dict[str, int] = {}
    for row in explore:
        best.setdefault(str(word["family"][row]), int(row))
    diverged = set(word["finalist"][replicate & (word["status"] == "diverged")])
    set_aside = tuple(family for family, i in best.items() if word["trial_id"][i] in diverged)
    if len(set_aside) < len(best):
        best = {family: i for family, i in best.items() if family not in set_aside}
    repeats = {
        family: _by_seed(np.flatnonzero(done & replicate & (word["finalist"] == word["trial_id"][i])), number["seed"])
        for family, i in best.items()
    }
    evidence: Evidence = "explore"
    if repeats and all(repeats.values()):
        evidence = "exact" if bool(cell["deterministic"].all()) else "replicates"
    values = {
        family: {seed: float(number["objective"][i]) for seed, i in rows.items()}
        if evidence != "explore"
        else {0: float(number["objective"][best[family]])}
        for family, rows in repeats.items()
    }
    results = []
    for family, i in best.items():
        rows = list(repeats[family].values())
        mine = explore[word["family"][explore] == family]
        results.append(
            FamilyResult(
                family=family,
                trial_id=str(word["trial_id"][i]),
                phi=float(number["phi"][i]) if family == "uba" else None,
                base_lr=float(number["base_lr"][i]),
                base_lr_interval=_equal_lrs(number["objective"][mine], number["base_lr"][mine], delta, mode),
                schedule=str(word["schedule"][i]),
                objective=_mean(np.array(list(values[family].values()))),
                metric=_mean(number["val_metric"][rows or [i]]),
                test_metric=_mean(number["test_metric"][rows]),
                replicates=len(rows),
                trials=int(((word["phase"] == "explore") & (word["family"] == family)).sum()),
                gains={
                    b: gain(values[family], values[b], mode == "min", evidence, rng)
                    for b in BASELINES
                    if b != family and b in values
                },
            )
        )
    results.sort(key=lambda r: r.objective if mode == "min" else -r.objective)
    return Comparison(tuple(results), evidence, set_aside)


def gain(
    ours: Mapping[int, float], theirs: Mapping[int, float], minimise: bool, evidence: Evidence, rng: np.random.Generator
) -> Gain:
    """Gain of one configuration over another, from objectives by seed; only shared seeds count."""
    pairs = np.array([(ours[seed], theirs[seed]) for seed in ours if seed in theirs], dtype=np.float64)
    if not len(pairs):
        pairs = np.array([[_mean(np.array(list(each.values()))) for each in (ours, theirs)]])
    reference = abs(float(pairs[:, 1].mean())) or 1.0
    difference = 100.0 * (pairs[:, 1] - pairs[:, 0]) / reference * (1.0 if minimise else -1.0)
    mean, n = float(difference.mean()), len(difference)
    if evidence == "exact":
        return Gain(mean, (mean, mean), n, float(mean > 0), evidence)
    if n < 2:
        return Gain(mean, None, n, None, evidence)
    half = float(student_t.ppf(0.5 + CONFIDENCE / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    means = rng.choice(difference, (BOOTSTRAPS, n)).mean(axis=1)
    return Gain(mean, (mean - half, mean + half), n, float(np.mean(means > 0) + 0.5 * np.mean(means == 0)), evidence)


def difference(cell: pd.DataFrame, ours: FamilyResult, theirs: FamilyResult, seed: int = 0) -> Gain:
    """Gain of one family's finalist over another's in a cell, paired by seed."""
    done = cell[(cell["status"] == "completed") & (cell["phase"] == "replicate")]
    a, b = (
        {int(seed): float(value) for seed, value in zip(rows["seed"], rows["objective"], strict=True)}
        for rows in (done[done["finalist"] == f.trial_id].drop_duplicates("seed") for f in (ours, theirs))
    )
    minimise = str(cell["mode"].iloc[0]) == "min"
    rng = np.random.default_rng(seed)
    if not a or not b:
        return gain({0: ours.objective}, {0: theirs.objective}, minimise, "explore", rng)
    exact = bool(cell["deterministic"].all())
    return gain(a, b, minimise, "exact" if exact else "replicates", rng)


def _by_seed(rows: NDArray[np.int64], seeds: Array) -> dict[int, int]:
    """Row of each seed, the first that has it."""
    return {int(seeds[i]): int(i) for i in rows[::-1]} if len(rows) else {}


def _mean(values: Array) -> float:
    """Mean of what is known; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _equal_lrs(objectives: Array, base_lrs: Array, delta: float, mode: str) -> tuple[float, float] | None:
    """Range of base LRs whose objective is within delta of the first one's, the best, on the fitting scale."""
    fitted = Scale.of(objectives, mode).forward(objectives)
    near = base_lrs[np.abs(fitted - fitted[0]) <= delta]
    return (float(near.min()), float(near.max())) if len(near) > 1 else None
