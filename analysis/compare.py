"""Families against each other in a cell, each at its own best LR: paired by seed, with intervals.

A family is represented by its best completed explore trial. Its replicates - fresh seeds, run to the end - give the
figures, so that choosing the best does not flatter it. Without replicates the explore values themselves are compared;
they are biased towards families with more trials, and say so.
"""

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
_NUMBERS = ("objective", "seed", "phi", "base_lr", "val_metric", "test_metric", "deterministic")
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
    # Plain objects: what is slow in a small table is pandas' care for many columns and for text.
    cell = cell[[*_NUMBERS, *_WORDS]].astype(dict.fromkeys(_WORDS, object))
    minimise = str(cell["mode"].iloc[0]) == "min"
    done = cell[(cell["status"] == "completed") & np.isfinite(cell["objective"].to_numpy(dtype=np.float64))]
    replicates = cell[cell["phase"] == "replicate"]
    explore = done[done["phase"] == "explore"]
    # Of equally good trials the one that was replicated.
    explore = explore.assign(replicated=explore["trial_id"].isin(replicates["finalist"]))
    explore = explore.sort_values(["objective", "replicated"], ascending=[minimise, False], kind="stable")
    best = explore.drop_duplicates("family").set_index("family")
    diverged = set(replicates.loc[replicates["status"] == "diverged", "finalist"])
    set_aside = tuple(str(family) for family, trial in best["trial_id"].items() if trial in diverged)
    if len(set_aside) < len(best):
        best = best.drop(index=list(set_aside))
    repeats = {
        str(family): _by_seed(done[(done["phase"] == "replicate") & (done["finalist"] == trial)])
        for family, trial in best["trial_id"].items()
    }
    evidence: Evidence = "explore"
    if repeats and all(len(r) for r in repeats.values()):
        evidence = "exact" if bool(cell["deterministic"].all()) else "replicates"
    values = {
        family: repeat["objective"] if evidence != "explore" else pd.Series([float(best.loc[family, "objective"])])
        for family, repeat in repeats.items()
    }
    results = []
    for family in values:
        row, repeat = best.loc[family], repeats[family]
        others = [b for b in BASELINES if b != family and b in values]
        has = len(repeat) > 0
        results.append(
            FamilyResult(
                family=family,
                trial_id=str(row["trial_id"]),
                phi=float(row["phi"]) if family == "uba" else None,
                base_lr=float(row["base_lr"]),
                base_lr_interval=_equal_lrs(explore[explore["family"] == family], delta, str(row["mode"])),
                schedule=str(row["schedule"]),
                objective=float(values[family].mean()),
                metric=float(repeat["val_metric"].mean() if has else row["val_metric"]),
                test_metric=float(repeat["test_metric"].mean()) if has else float("nan"),
                replicates=len(repeat),
                trials=int((cell[cell["phase"] == "explore"]["family"] == family).sum()),
                gains={b: gain(values[family], values[b], minimise, evidence, rng) for b in others},
            )
        )
    results.sort(key=lambda r: r.objective if minimise else -r.objective)
    return Comparison(tuple(results), evidence, set_aside)


def gain(ours: pd.Series, theirs: pd.Series, minimise: bool, evidence: Evidence, rng: np.random.Generator) -> Gain:
    """Gain of one configuration over another, from values indexed by seed; only shared seeds count."""
    pairs = pd.concat([ours.rename("ours"), theirs.rename("theirs")], axis=1, join="inner").to_numpy(dtype=np.float64)
    if not len(pairs):
        pairs = np.array([[float(ours.mean()), float(theirs.mean())]])
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
    a, b = (_by_seed(done[done["finalist"] == f.trial_id])["objective"] for f in (ours, theirs))
    minimise = str(cell["mode"].iloc[0]) == "min"
    rng = np.random.default_rng(seed)
    if not len(a) or not len(b):
        return gain(pd.Series([ours.objective]), pd.Series([theirs.objective]), minimise, "explore", rng)
    exact = bool(cell["deterministic"].all())
    return gain(a, b, minimise, "exact" if exact else "replicates", rng)


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop_duplicates("seed").set_index("seed")[["objective", "val_metric", "test_metric"]]


def _equal_lrs(rows: pd.DataFrame, delta: float, mode: str) -> tuple[float, float] | None:
    """Range of base LRs whose objective is within delta of the best row's, on the fitting scale (rows: best first)."""
    values = rows["objective"].to_numpy(dtype=np.float64)
    fitted = Scale.of(values, mode).forward(values)
    near = rows["base_lr"].to_numpy(dtype=np.float64)[np.abs(fitted - fitted[0]) <= delta]
    return (float(near.min()), float(near.max())) if len(near) > 1 else None
