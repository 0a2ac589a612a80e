"""How a search went: how its trials ended, and whether what was seen early told the end."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from phitune.analysis.results.table import CELL, STATUSES

FEWEST = 5


@dataclass(frozen=True)
class SearchQuality:
    """One cell's explore trials, of one family or of all.

    Attributes:
        workload, optimizer, budget: Which cell.
        family: Whose trials; None for all families.
        ended: Trials by status, in the order of `STATUSES`.
        rungs: Spearman's rank correlation of the objective at each rung with the end, over trials that completed
            (they are those that did well at the rungs: over all trials it would be higher); None under five of
            them or where one side does not vary.
    """

    workload: str
    optimizer: str
    budget: int
    family: str | None
    ended: dict[str, int]
    rungs: tuple[float | None, ...]

    @property
    def trials(self) -> int:
        """Number of explore trials."""
        return sum(self.ended.values())


def search_quality(table: pd.DataFrame) -> tuple[SearchQuality, ...]:
    """One entry a cell, each followed by its families'.

    Args:
        table: The results table.
    """
    explore = table[table["phase"] == "explore"]
    out = []
    for key, rows in explore.groupby(CELL, sort=True):
        out.append(_quality(key, None, rows))
        out += [_quality(key, str(family), mine) for family, mine in rows.groupby("family", sort=True)]
    return tuple(out)


def _quality(key: tuple[object, ...], family: str | None, rows: pd.DataFrame) -> SearchQuality:
    counts = rows["status"].value_counts()
    done = rows[rows["status"] == "completed"]
    end = done["objective"].to_numpy(dtype=np.float64)
    rungs = [column for column in rows.columns if column.startswith("rung_") and rows[column].notna().any()]
    workload, optimizer, budget = key
    return SearchQuality(
        workload=str(workload),
        optimizer=str(optimizer),
        budget=int(str(budget)),
        family=family,
        ended={status: int(counts.get(status, 0)) for status in STATUSES},
        rungs=tuple(_correlation(done[rung].to_numpy(dtype=np.float64), end) for rung in rungs),
    )


def _correlation(early: "np.ndarray[tuple[int], np.dtype[np.float64]]", end: object) -> float | None:
    both = np.column_stack([early, np.asarray(end, dtype=np.float64)])
    both = both[np.isfinite(both).all(axis=1)]
    if len(both) < FEWEST or (np.ptp(both, axis=0) == 0).any():
        return None
    return float(spearmanr(both[:, 0], both[:, 1]).statistic)
