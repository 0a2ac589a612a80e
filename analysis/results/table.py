"""The results table: its columns and types, checks of its rows, Parquet in and out."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from phitune.trainables.errors import InputError

TEXT, NUMBER, WHOLE, YES_NO = "string", "float64", "Int64", "bool"
COLUMNS: dict[str, str] = {
    "study": TEXT,
    "trial_id": TEXT,
    "run_id": TEXT,
    "cell": TEXT,
    "workload": TEXT,
    "optimizer": TEXT,
    "budget": WHOLE,
    "full_budget": WHOLE,
    "phase": TEXT,
    "status": TEXT,
    "family": TEXT,
    "phi": NUMBER,
    "base_lr": NUMBER,
    "mean_lr": NUMBER,
    "schedule": TEXT,
    "seed": WHOLE,
    "finalist": TEXT,
    "origin": TEXT,
    "deterministic": YES_NO,
    "objective_name": TEXT,
    "mode": TEXT,
    "metric_name": TEXT,
    "metric_mode": TEXT,
    "objective": NUMBER,
    "val_loss": NUMBER,
    "val_metric": NUMBER,
    "ema_val_loss": NUMBER,
    "ema_val_metric": NUMBER,
    "test_loss": NUMBER,
    "test_metric": NUMBER,
    "hessian_max": NUMBER,
    "hessian_min": NUMBER,
    "steps": WHOLE,
    "started": NUMBER,
    "seconds": NUMBER,
}
CELL = ["workload", "optimizer", "budget"]
# Values of the columns of `CELL`.
CellKey = tuple[str, str, int]
STATUSES = ("completed", "stopped", "diverged", "failed")
PHASES = ("explore", "replicate")
MODES = ("min", "max")
# Columns that must agree among the trials of a cell, or comparing them means nothing.
_SHARED_IN_CELL = ["mode", "objective_name", "metric_mode", "metric_name", "deterministic", "full_budget"]


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with all of `COLUMNS` in order, in their types, then the rungs in order."""
    rungs = rung_columns(table.columns)
    out = table.reindex(columns=[*COLUMNS, *rungs])
    return out.astype({**COLUMNS, **dict.fromkeys(rungs, NUMBER)})


def rung_columns(columns: Iterable[str]) -> list[str]:
    """The columns `rung_1`, `rung_2`, ... among some columns, in order."""
    rungs = [c for c in columns if c.startswith("rung_") and c[5:].isdecimal()]
    return sorted(rungs, key=lambda c: int(c[5:]))


def require_comparable(table: pd.DataFrame) -> None:
    """Check that the trials of each cell share objective, metric, directions and full budget.

    Raises:
        InputError: Two trials of a cell, of the same study or of two, do not.
    """
    for column in _SHARED_IN_CELL:
        kinds = table.dropna(subset=[column]).drop_duplicates([*CELL, column])
        twice = kinds[kinds.duplicated(CELL, keep=False)]
        if len(twice):
            first = twice.iloc[0]
            here = twice[(twice[CELL] == first[CELL]).all(axis=1)]
            values = " and ".join(f"{row[column]} in {row['study']!r}" for _, row in here.iterrows())
            cell = " ".join(str(first[key]) for key in CELL)
            raise InputError(f"{column}: the cell '{cell}' has {values}; its trials cannot be compared")


class NothingCompletedError(InputError):
    """No trial of some results has run to its end, or not yet."""


def require_completed(table: pd.DataFrame, what: str) -> None:
    """Check that a trial completed.

    Args:
        table: The results table.
        what: Name of its source, for the message.

    Raises:
        NothingCompletedError: No trial at all, or none that completed.
    """
    if table.empty:
        raise NothingCompletedError(f"STUDY: {what} has no finished trial yet")
    if not (table["status"] == "completed").any():
        counts = ", ".join(f"{n} {status}" for status in STATUSES if (n := int((table["status"] == status).sum())))
        raise NothingCompletedError(f"STUDY: {what} has no completed trial ({counts}): nothing to analyse")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write the results table."""
    table.to_parquet(path, index=False)


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a results table back, in the types of `load`.

    Raises:
        InputError: No such file, or not a results table.
    """
    if not path.is_file():
        raise InputError(f"results: no file {str(path)!r}")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError):
        raise InputError(f"results: {str(path)!r} is not a Parquet file") from None
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise InputError(f"results: {str(path)!r} is not a results table; it lacks the column {missing[0]!r}")
    return tidy(table)
