"""Families against each other in a cell, each at its own best configuration, as the cell's belief expects them."""

import json
import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.families.gain import Gain, gain
from phitune.analysis.surface import COSINE_PHI, CellFit, FamilyBest
from phitune.analysis.surrogate.coordinates import coordinates
from phitune.analysis.surrogate.scale import Scale
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]

BASELINES = ("cosine", "linear")
# Trials whose metric is taken for that of a configuration near them.
NEAREST = 3


@dataclass(frozen=True)
class FamilyResult:
    """One family at its best in one cell; all intervals are 90 %.

    Attributes:
        family: Name of the family.
        phi: UBA's phi, None for other families.
        base_lr: Base LR.
        base_lr_interval: Interval of the best base LR of that schedule.
        schedule: The schedule as JSON.
        objective: Objective to expect there, the median of the draws.
        objective_interval: Its interval.
        metric: The workload's metric (validation), mean of the nearest trials; NaN if there are none.
        test_metric: Mean test metric over replicates; NaN if there are none.
        replicates: Completed replicates of the family.
        replicate_mean: Plain mean of their objectives; NaN if there are none.
        trials: Explore trials of this family.
        gains: Against each baseline of `BASELINES` that the cell has, other than itself.
    """

    family: str
    phi: float | None
    base_lr: float
    base_lr_interval: tuple[float, float]
    schedule: str
    objective: float
    objective_interval: tuple[float, float]
    metric: float
    test_metric: float
    replicates: int
    replicate_mean: float
    trials: int
    gains: dict[str, Gain]


@dataclass(frozen=True)
class Comparison:
    """All families of a cell, best first.

    Attributes:
        families: One result each, sorted by objective, best first.
        fitted: Each family's draws of the objective on the fitting scale, shape (s,).
        scale: The fitting scale.
        may_be_equal: Pairs of families that are one function at a value of a parameter, where that value may be best.
    """

    families: tuple[FamilyResult, ...]
    fitted: dict[str, Array] = field(default_factory=dict, compare=False)
    scale: Scale = field(default_factory=partial(Scale, "linear"))
    may_be_equal: frozenset[frozenset[str]] = frozenset()

    def get(self, family: str) -> FamilyResult | None:
        """The family's result, None if it has no completed trial."""
        return next((f for f in self.families if f.family == family), None)

    def gain(self, ours: str, theirs: str) -> Gain:
        """Gain of one family over another."""
        equal = frozenset((ours, theirs)) in self.may_be_equal
        return gain(self.fitted[ours], self.fitted[theirs], self.scale, equal)


def compare_cell(cell: pd.DataFrame, fit: CellFit) -> Comparison:
    """Compare the families of one cell.

    Args:
        cell: Rows of the results table, one cell.
        fit: What they say, with verdicts.

    Returns:
        The comparison; without families if nothing completed.
    """
    fitted = {family: best.fitted for family, best in fit.bests.items()}
    bare = Comparison((), fitted, fit.scale, _may_be_equal(fit))
    results = [_result(cell, best, bare) for best in fit.bests.values()]
    results.sort(key=lambda r: float(np.median(fitted[r.family])))
    return Comparison(tuple(results), fitted, fit.scale, bare.may_be_equal)


def replicates_of(cell: pd.DataFrame, family: str) -> pd.DataFrame:
    """A family's replicates, those of one finalist: the one with most of them, of several the last. One row a seed."""
    ended = cell["status"].isin(["completed", "diverged"])
    rows: pd.DataFrame = cell[ended & (cell["phase"] == "replicate") & (cell["family"] == family)]
    if rows.empty:
        return rows
    counts = rows.groupby("finalist", sort=True).size()
    finalist = counts[counts == counts.max()].index[-1]
    chosen: pd.DataFrame = rows[rows["finalist"] == finalist]
    return chosen.drop_duplicates("seed").sort_values("seed")


def _may_be_equal(fit: CellFit) -> frozenset[frozenset[str]]:
    """UBA and cosine where phi = 2 may be the best; likewise a family that shares its surface with others."""
    pairs = set()
    for family, group in fit.groups.items():
        # A parameter that the family has too (its warmup) does not set it apart.
        own = {parameter for of, parameter in fit.surfaces if of == family}
        free = {name: each for (of, name), each in fit.surfaces.items() if of == group and name not in own}
        intervals = {name: each.phi_interval for name, each in free.items() if each.phi_interval}
        if family == group or not intervals:
            continue
        low, high = intervals.get("phi", (math.inf, -math.inf))
        flat = all(each.verdict == "flat" for each in free.values())
        if flat or (len(free) == 1 and (family != "cosine" or low <= COSINE_PHI <= high)):
            pairs.add(frozenset((family, group)))
    return frozenset(pairs)


def _result(cell: pd.DataFrame, best: FamilyBest, bare: Comparison) -> FamilyResult:
    mine = replicates_of(cell, best.family)
    done = mine[mine["status"] == "completed"]
    others = [b for b in BASELINES if b != best.family and b in bare.fitted]
    ends = sorted(bare.scale.inverse(float(v)) for v in np.quantile(best.fitted, [0.05, 0.95]))
    family = cell["family"].to_numpy(dtype=object)
    return FamilyResult(
        family=best.family,
        phi=float(str(best.schedule["phi"])) if best.family == "uba" and "phi" in best.schedule else None,
        base_lr=best.base_lr,
        base_lr_interval=best.base_lr_interval,
        schedule=json.dumps(best.schedule),
        objective=bare.scale.inverse(float(np.median(best.fitted))),
        objective_interval=(ends[0], ends[1]),
        metric=_metric_near(cell, best),
        test_metric=_mean(done["test_metric"]),
        replicates=len(done),
        replicate_mean=_mean(done["objective"]),
        trials=int(((cell["phase"].to_numpy(dtype=object) == "explore") & (family == best.family)).sum()),
        gains={b: bare.gain(best.family, b) for b in others},
    )


def _metric_near(cell: pd.DataFrame, best: FamilyBest) -> float:
    """Mean validation metric of the family's completed trials that are nearest to its best configuration."""
    status, family, schedule = (cell[c].to_numpy(dtype=object, na_value="") for c in ("status", "family", "schedule"))
    lr, metric = (cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in ("base_lr", "val_metric"))
    rows = np.flatnonzero((status == "completed") & (family == best.family) & np.isfinite(metric))
    if not len(rows):
        return float("nan")
    budget = int(cell["budget"].iloc[0])
    try:
        there = coordinates(from_dict(best.schedule), budget, best.base_lr)
        at = np.array([coordinates(from_dict(json.loads(schedule[i])), budget, lr[i]) for i in rows])
    except InputError:
        there, at = np.array([np.log(best.base_lr)]), np.log(lr[rows])[:, None]
    nearest = rows[np.argsort(np.square(at - there).sum(axis=1), kind="stable")[:NEAREST]]
    return float(metric[nearest].mean())


def _mean(values: "pd.Series[float]") -> float:
    """Mean without NaN; NaN if there is no other value."""
    return float(values.mean()) if values.notna().any() else float("nan")
