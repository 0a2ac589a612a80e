"""All comparisons of families, from the results table in one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from phitune.analysis.families.budget_saved import BudgetSaved, budget_saved
from phitune.analysis.families.compare import Comparison, compare_cell
from phitune.analysis.families.ranks import Ranks, rank_families
from phitune.analysis.families.scores import Scores, score_families
from phitune.analysis.families.tuning_curves import TuningCurve, tuning_curves
from phitune.analysis.results.table import CELL, CellKey

_NUMBERS = ("objective", "seed", "phi", "base_lr", "val_metric", "test_metric", "deterministic")
_TEXTS = ("status", "phase", "family", "trial_id", "finalist", "origin", "mode", "schedule")


@dataclass(frozen=True)
class Comparisons:
    """Families against each other, in cells and across them.

    What the evidence does not support has no figure, and the reason in `why_not`.

    Attributes:
        cells: By workload, optimizer and budget; paired gains are in each family's `gains`.
        ranks: Average ranks with Friedman's test and the critical difference.
        scores: Interquartile means and performance profiles.
        tuning_curves: One a cell and family.
        budget_saved: One a cell, family and baseline.
    """

    cells: dict[CellKey, Comparison]
    ranks: Ranks
    scores: Scores
    tuning_curves: tuple[TuningCurve, ...]
    budget_saved: tuple[BudgetSaved, ...]


def compare(table: pd.DataFrame, cells: Mapping[CellKey, Comparison] | None = None, seed: int = 0) -> Comparisons:
    """Compare the families of a results table.

    Args:
        table: The results table.
        cells: The cells' comparisons, if `compare_cell` has made them already.
        seed: Of bootstraps and draws.
    """
    # Few columns, plain objects: splitting a wide table into hundreds of small ones takes longer than comparing them.
    table = table[[*CELL, *_NUMBERS, *_TEXTS]].astype(dict.fromkeys(_TEXTS, object))
    rows: dict[CellKey, pd.DataFrame] = {
        (str(workload), str(optimizer), int(str(budget))): group
        for (workload, optimizer, budget), group in table.groupby(CELL, sort=True)
    }
    comparisons = {key: cells[key] if cells else compare_cell(cell, seed=seed) for key, cell in rows.items()}
    saved: list[BudgetSaved] = []
    for _, keys in groupby(rows, key=lambda key: key[:2]):
        saved += budget_saved([(rows[key], comparisons[key]) for key in keys], seed)
    return Comparisons(
        cells=comparisons,
        ranks=rank_families(list(comparisons.values())),
        scores=score_families([(rows[key], comparisons[key]) for key in rows], seed),
        tuning_curves=tuple(curve for cell in rows.values() for curve in tuning_curves(cell)),
        budget_saved=tuple(saved),
    )
