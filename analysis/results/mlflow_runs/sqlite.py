"""Trials from MLflow's embedded database, read as SQL: its client takes minutes for what this does in seconds.

The tables read are `runs`, `tags`, `params` and `latest_metrics` of MLflow's own schema, never written. The client is
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
    KIND,
    METRICS,
    PARAMS,
    PARENT,
    RUNG,
    RUNG_COLUMN,
    TAGS,
    to_table,
)
from phitune.analysis.results.study_ref import StudyRef, sqlite_file

# Rows of one run lie together, and near those of the run made next: in that order a large file is not jumped about in.
_ENDED = """
SELECT run_uuid FROM runs WHERE experiment_id = (SELECT experiment_id FROM runs WHERE run_uuid = ?)
AND lifecycle_stage = 'active' AND status <> 'RUNNING' ORDER BY rowid
"""
_OF_RUNS = """
SELECT w.row, t.key, {value} FROM wanted w CROSS JOIN {table} t INDEXED BY index_{table}_run_uuid
ON t.run_uuid = w.run_uuid WHERE t.key IN ({keys}) {or_rungs}
"""
_CACHE_KIB = 262_144


def ended_runs(ref: StudyRef, parent: str) -> list[str]:
    """Run ids of the experiment of a parent run that have ended, in the order in which they were made.

    Raises:
        sqlite3.Error: The database is not of the schema known here.
    """
    with closing(_open(ref)) as connection:
        return [row[0] for row in connection.execute(_ENDED, (parent,))]


def trials(ref: StudyRef, parent: str, run_ids: Sequence[str]) -> pd.DataFrame:
    """Rows of those of the runs that are ended trials of the study, in the order in which they started.

    Raises:
        sqlite3.Error: The database is not of the schema known here.
    """
    n = len(run_ids)
    own = {PARENT: PARENT, KIND: KIND}
    with closing(_open(ref)) as connection:
        connection.execute("CREATE TEMP TABLE wanted (row INTEGER PRIMARY KEY, run_uuid TEXT)")
        connection.executemany("INSERT INTO wanted VALUES (?, ?)", enumerate(run_ids))
        starts = connection.execute(
            "SELECT w.row, 'started', r.start_time FROM wanted w CROSS JOIN runs r ON r.run_uuid = w.run_uuid"
        )
        raw: dict[str, Any] = {"run_id": run_ids, **_filled(starts, {"started": "started"}, n, np.float64)}
        for name, columns in (("tags", own | TAGS), ("params", {key: key for key in PARAMS})):
            raw |= _filled(_rows(connection, name, "t.value", columns.values()), columns, n, np.object_)
        value = "CASE WHEN t.is_nan THEN NULL ELSE t.value END"
        rungs = f"OR t.key GLOB '{RUNG}*'"
        raw |= _filled(_rows(connection, "latest_metrics", value, METRICS.values(), rungs), METRICS, n, np.float64)
    found = pd.DataFrame(raw)
    whole = (found[PARENT] == parent) & (found[KIND] == "trial") & found["status"].notna() & found["seconds"].notna()
    rows = found[whole].rename(columns=lambda name: name.replace(RUNG, RUNG_COLUMN))
    lacking = [c for c in rows.columns if c.startswith(RUNG_COLUMN) and rows[c].isna().all()]
    table = to_table(rows.drop(columns=lacking), ref.name)
    return table.sort_values(["started", "run_id"], ignore_index=True)


def _open(ref: StudyRef) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{sqlite_file(ref.tracking_uri).absolute()}?mode=ro", uri=True)
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    return connection


def _rows(
    connection: sqlite3.Connection, table: str, value: str, keys: Iterable[str], or_rungs: str = ""
) -> Iterator[tuple[int, str, Any]]:
    wanted = list(keys)
    marks = ", ".join("?" * len(wanted))
    return connection.execute(_OF_RUNS.format(table=table, value=value, keys=marks, or_rungs=or_rungs), wanted)


def _filled(rows: Iterable[tuple[int, str, Any]], columns: Mapping[str, str], n: int, kind: type) -> dict[str, Any]:
    """Columns of n values, of which the rows give some; keys that are no known column become columns too."""
    empty = None if kind is np.object_ else np.nan
    by_key: dict[str, NDArray[Any]] = {key: np.full(n, empty, dtype=kind) for key in columns.values()}
    for row, key, value in rows:
        if key not in by_key:
            by_key[key] = np.full(n, empty, dtype=kind)
        if value is not None:
            by_key[key][row] = value
    names = {key: column for column, key in columns.items()}
    return {names.get(key, key): values for key, values in by_key.items()}
