"""How a search went: how its trials ended, and whether what was seen early told the end."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from phitune.analysis.results.table import CELL, STATUSES, rung_columns
from phitune.analysis.surrogate.rungs import rung_correlation


@dataclass(frozen=True)
class SearchQuality:
    """One cell's explore trials, of one family or of all.

    Attributes:
        workload, optimizer, budget: Which cell.
        family: Whose trials; None for all families.
        ended: Trials by status, in the order of `STATUSES`.
        rungs: `rung_correlation` of each rung over the trials that completed; None where they say nothing.
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
    # Groups are cut out of as few columns as will do.
    columns = [*CELL, "family", "status", "objective", *rung_columns(table.columns)]
    explore = table.loc[table["phase"] == "explore", columns]
    out = []
    for key, rows in explore.groupby(CELL, sort=True):
        out.append(_quality(key, None, rows))
        out += [_quality(key, str(family), mine) for family, mine in rows.groupby("family", sort=True)]
    return tuple(out)


def _quality(key: tuple[object, ...], family: str | None, rows: pd.DataFrame) -> SearchQuality:
    counts = rows["status"].value_counts()
    done = rows[rows["status"] == "completed"]
    end = done["objective"].to_numpy(dtype=np.float64)
    rungs = [column for column in rung_columns(rows.columns) if rows[column].notna().any()]
    workload, optimizer, budget = key
    return SearchQuality(
        workload=str(workload),
        optimizer=str(optimizer),
        budget=int(str(budget)),
        family=family,
        ended={status: int(counts.get(status, 0)) for status in STATUSES},
        rungs=tuple(rung_correlation(done[rung].to_numpy(dtype=np.float64), end) for rung in rungs),
    )
