"""Families against each other in a cell, each at its own best LR: paired by seed, with intervals.

A family is represented by its best completed explore trial. Its replicates - fresh seeds, run to the end - give the
figures, so that choosing the best does not flatter it. Without replicates the explore values themselves are compared;
they are biased towards families with more trials, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.families.gain import Evidence, Gain, gain
from phitune.analysis.surface.outcomes import Scale

Array = NDArray[np.float64]

BASELINES = ("cosine", "linear")
_NUMBERS = ("objective", "seed", "phi", "base_lr", "val_metric", "test_metric")
_TEXTS = ("status", "phase", "family", "trial_id", "finalist", "mode", "schedule")


@dataclass(frozen=True)
class FamilyResult:
    """One family at its best in one cell.

    Attributes:
        family: Name of the family.
        trial_id: Its finalist: the explore trial that represents it.
        phi: UBA's phi, None for other families.
        base_lr: Base LR of the finalist.
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
        evidence: Which trials the figures are from.
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
    rows = _Rows.of(cell)
    best, set_aside = rows.finalists()
    repeats = {family: rows.repeats(i) for family, i in best.items()}
    evidence: Evidence = "explore"
    if repeats and all(repeats.values()):
        evidence = "exact" if rows.exact else "replicates"
    values = {
        family: rows.objectives(repeats[family] if evidence != "explore" else {0: i}) for family, i in best.items()
    }
    rng = np.random.default_rng(seed)
    results = [
        rows.result(
            family,
            i,
            repeats[family],
            values[family],
            delta,
            {
                b: gain(values[family], values[b], rows.minimise, evidence, rng)
                for b in BASELINES
                if b != family and b in values
            },
        )
        for family, i in best.items()
    ]
    results.sort(key=lambda r: r.objective if rows.minimise else -r.objective)
    return Comparison(tuple(results), evidence, set_aside)


@dataclass(frozen=True)
class _Rows:
    """A cell's rows as arrays: pandas is slow on hundreds of small tables.

    Attributes:
        text: Columns of text.
        number: Columns of numbers.
        minimise: Whether a smaller objective is better.
        exact: Whether the workload has no seed noise.
        explore: Rows of the completed explore trials, best first; of equally good ones the one that was replicated.
    """

    text: Mapping[str, NDArray[np.object_]]
    number: Mapping[str, Array]
    minimise: bool
    exact: bool
    explore: NDArray[np.int64]

    @classmethod
    def of(cls, cell: pd.DataFrame) -> _Rows:
        text = {c: cell[c].to_numpy(dtype=object, na_value="") for c in _TEXTS}
        number = {c: cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in _NUMBERS}
        minimise = text["mode"][0] == "min"
        signed = number["objective"] if minimise else -number["objective"]
        completed = (text["status"] == "completed") & np.isfinite(signed)
        repeated = set(text["finalist"][text["phase"] == "replicate"])
        unrepeated = np.array([trial not in repeated for trial in text["trial_id"]])
        explore = np.flatnonzero(completed & (text["phase"] == "explore"))
        explore = explore[np.lexsort((unrepeated[explore], signed[explore]))]
        return cls(text, number, minimise, bool(cell["deterministic"].all()), explore)

    def finalists(self) -> tuple[dict[str, int], tuple[str, ...]]:
        """Each family's best row, and the families set aside because that row diverged on a fresh seed."""
        best: dict[str, int] = {}
        for row in self.explore:
            best.setdefault(str(self.text["family"][row]), int(row))
        lost = (self.text["phase"] == "replicate") & (self.text["status"] == "diverged")
        diverged = set(self.text["finalist"][lost])
        set_aside = tuple(family for family, i in best.items() if self.text["trial_id"][i] in diverged)
        if len(set_aside) < len(best):
            best = {family: i for family, i in best.items() if family not in set_aside}
        return best, set_aside

    def repeats(self, finalist: int) -> dict[int, int]:
        """Row of each completed replicate of a finalist, by seed; of several the first."""
        mine = (self.text["phase"] == "replicate") & (self.text["finalist"] == self.text["trial_id"][finalist])
        rows = np.flatnonzero(mine & (self.text["status"] == "completed") & np.isfinite(self.number["objective"]))
        return {int(self.number["seed"][i]): int(i) for i in rows[::-1]}

    def objectives(self, rows: Mapping[int, int]) -> dict[int, float]:
        """Objective of each seed."""
        return {seed: float(self.number["objective"][i]) for seed, i in rows.items()}

    def result(
        self,
        family: str,
        finalist: int,
        repeats: Mapping[int, int],
        values: Mapping[int, float],
        delta: float,
        gains: dict[str, Gain],
    ) -> FamilyResult:
        rows = list(repeats.values())
        mine = self.text["family"] == family
        equal = self.explore[mine[self.explore]]
        return FamilyResult(
            family=family,
            trial_id=str(self.text["trial_id"][finalist]),
            phi=float(self.number["phi"][finalist]) if family == "uba" else None,
            base_lr=float(self.number["base_lr"][finalist]),
            base_lr_interval=_equal_lrs(
                self.number["objective"][equal], self.number["base_lr"][equal], delta, "min" if self.minimise else "max"
            ),
            schedule=str(self.text["schedule"][finalist]),
            objective=_mean(np.array(list(values.values()))),
            metric=_mean(self.number["val_metric"][rows or [finalist]]),
            test_metric=_mean(self.number["test_metric"][rows]),
            replicates=len(rows),
            trials=int(((self.text["phase"] == "explore") & mine).sum()),
            gains=gains,
        )


def difference(cell: pd.DataFrame, ours: FamilyResult, theirs: FamilyResult, seed: int = 0) -> Gain:
    """Gain of one family's finalist over another's in a cell, paired by seed."""
    rows = _Rows.of(cell)
    at = {str(trial): i for i, trial in enumerate(rows.text["trial_id"])}
    a, b = (rows.objectives(rows.repeats(at[f.trial_id])) for f in (ours, theirs))
    rng = np.random.default_rng(seed)
    if not a or not b:
        return gain({0: ours.objective}, {0: theirs.objective}, rows.minimise, "explore", rng)
    return gain(a, b, rows.minimise, "exact" if rows.exact else "replicates", rng)


def _mean(values: Array) -> float:
    """Mean without NaN; NaN if there is no other value."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _equal_lrs(objectives: Array, base_lrs: Array, delta: float, mode: str) -> tuple[float, float] | None:
    """Range of base LRs whose objective is within delta of the first, the best, on the fitting scale."""
    fitted = Scale.of(objectives, mode).forward(objectives)
    near = base_lrs[np.abs(fitted - fitted[0]) <= delta]
    return (float(near.min()), float(near.max())) if len(near) > 1 else None
