"""Trials from MLflow's embedded database, read as SQL: seconds instead of the minutes that its client takes.

The tables are `runs`, `tags`, `params` and `latest_metrics` of MLflow's own schema, never written. The client is
the reference: both must give the same table.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.results.mlflow_runs.layout import (
    METRICS,
    PARAMS,
    PARENT,
    RUNG,
    RUNG_COLUMN,
    TAGS,
    to_table,
)
from phitune.analysis.results.study_ref import StudyRef, read_only
from phitune.trainables.mlflow_names import KIND, STUDY_RUN

# Rows of one run lie together, near those of the next run: this order reads a large file sequentially.
_ENDED = """
SELECT run_uuid FROM runs WHERE experiment_id = (SELECT experiment_id FROM runs WHERE run_uuid = ?)
AND lifecycle_stage = 'active' AND status <> 'RUNNING' ORDER BY rowid
"""
_OF_RUNS = """
SELECT w.row, t.key, {value} FROM selected w CROSS JOIN {table} t INDEXED BY index_{table}_run_uuid
ON t.run_uuid = w.run_uuid WHERE t.key IN ({keys}) {or_rungs}
"""
_CACHE_KIB = 262_144


def ended_runs(ref: StudyRef, parent: str) -> list[str]:
    """Ids of the ended runs in the experiment of a parent run, in the order in which they were created.

    Raises:
        sqlite3.Error: The database has another schema.
    """
    with closing(_open(ref)) as connection:
        return [row[0] for row in connection.execute(_ENDED, (parent,))]


def trials(ref: StudyRef, parent: str, run_ids: Sequence[str]) -> pd.DataFrame:
    """Rows of the runs that are ended trials of the study, in the order in which they started.

    Raises:
        sqlite3.Error: The database has another schema.
    """
    n = len(run_ids)
    own = {key: key for key in (PARENT, STUDY_RUN, KIND)}
    with closing(_open(ref)) as connection:
        connection.execute("CREATE TEMP TABLE selected (row INTEGER PRIMARY KEY, run_uuid TEXT)")
        connection.executemany("INSERT INTO selected VALUES (?, ?)", enumerate(run_ids))
        starts = connection.execute(
            "SELECT w.row, 'started', r.start_time FROM selected w CROSS JOIN runs r ON r.run_uuid = w.run_uuid"
        )
        raw: dict[str, Any] = {"run_id": run_ids, **_columns(starts, {"started": "started"}, n, np.float64)}
        for name, columns in (("tags", own | TAGS), ("params", {key: key for key in PARAMS})):
            raw |= _columns(_rows(connection, name, "t.value", columns.values()), columns, n, np.object_)
        value = "CASE WHEN t.is_nan THEN NULL ELSE t.value END"
        rungs = f"OR t.key GLOB '{RUNG}*'"
        raw |= _columns(_rows(connection, "latest_metrics", value, METRICS.values(), rungs), METRICS, n, np.float64)
    runs = pd.DataFrame(raw)
    ours = (runs[STUDY_RUN] == parent) | (runs[PARENT] == parent)
    complete = ours & (runs[KIND] == "trial") & runs["status"].notna() & runs["seconds"].notna()
    rows = runs[complete].rename(columns=lambda name: name.replace(RUNG, RUNG_COLUMN))
    empty = [c for c in rows.columns if c.startswith(RUNG_COLUMN) and rows[c].isna().all()]
    table = to_table(rows.drop(columns=empty), ref.name)
    return table.sort_values(["started", "run_id"], ignore_index=True)


def _open(ref: StudyRef) -> sqlite3.Connection:
    connection = read_only(ref.tracking_uri)
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    return connection


def _rows(
    connection: sqlite3.Connection, table: str, value: str, keys: Iterable[str], or_rungs: str = ""
) -> Iterator[tuple[int, str, Any]]:
    names = list(keys)
    marks = ", ".join("?" * len(names))
    return connection.execute(_OF_RUNS.format(table=table, value=value, keys=marks, or_rungs=or_rungs), names)


def _columns(rows: Iterable[tuple[int, str, Any]], columns: Mapping[str, str], n: int, kind: type) -> dict[str, Any]:
    """Columns of n values from rows of (position, key, value); a key without a column becomes a column."""
    empty = None if kind is np.object_ else np.nan
    by_key: dict[str, NDArray[Any]] = {key: np.full(n, empty, dtype=kind) for key in columns.values()}
    for row, key, value in rows:
        if key not in by_key:
            by_key[key] = np.full(n, empty, dtype=kind)
        if value is not None:
            by_key[key][row] = value
    names = {key: column for column, key in columns.items()}
    return {names.get(key, key): values for key, values in by_key.items()}
