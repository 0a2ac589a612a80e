"""All comparisons of families, from the results table in one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from phitune.analysis.families.budget_saved import BudgetSaved, budget_saved
from phitune.analysis.families.compare import Comparison
from phitune.analysis.families.ranks import Ranks, rank_families
from phitune.analysis.families.scores import Scores, score_families
from phitune.analysis.families.tuning_curves import TuningCurve, tuning_curves
from phitune.analysis.results.table import CELL, CellKey

_NUMBERS = ("objective", "seed", "deterministic")
_TEXTS = ("status", "phase", "family", "finalist", "origin", "mode")


@dataclass(frozen=True)
class Comparisons:
    """Families against each other, in cells and across them.

    What the evidence does not support has no figure, and the reason in `why_not`.

    Attributes:
        cells: By workload, optimizer and budget; gains are in each family's `gains`.
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


def compare(table: pd.DataFrame, cells: Mapping[CellKey, Comparison], seed: int = 0) -> Comparisons:
    """Compare the families of a results table.

    Args:
        table: The results table.
        cells: The cells' comparisons.
        seed: Of bootstraps and draws.
    """
    # Few columns, plain objects: splitting a wide table into hundreds of small ones takes longer than comparing them.
    table = table[[*CELL, *_NUMBERS, *_TEXTS]].astype(dict.fromkeys(_TEXTS, object))
    rows: dict[CellKey, pd.DataFrame] = {
        (str(workload), str(optimizer), int(str(budget))): group
        for (workload, optimizer, budget), group in table.groupby(CELL, sort=True)
    }
    saved: list[BudgetSaved] = []
    for _, keys in groupby(rows, key=lambda key: key[:2]):
        saved += budget_saved({key: cells[key] for key in keys}, seed)
    return Comparisons(
        cells=dict(cells),
        ranks=rank_families(list(cells.values())),
        scores=score_families(list(rows.values()), seed),
        tuning_curves=tuple(curve for cell in rows.values() for curve in tuning_curves(cell)),
        budget_saved=tuple(saved),
    )
