"""Trials from MLflow's embedded database, read as SQL: its client takes minutes for what this does in seconds.

The tables read are `runs`, `tags`, `params` and `latest_metrics` of MLflow's own schema, never written. The client is
the reference: both must give the same table.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

import numpy as np
import pandas as pd

from analysis.results.mlflow_layout import (
    KIND,
    LAST_METRIC,
    METRICS,
    PARAMS,
    PARENT,
    RUNG,
    RUNG_COLUMN,
    STATUS,
    TAGS,
    to_table,
)
from analysis.results.study_ref import StudyRef, sqlite_file

_ENDED = """
SELECT r.run_uuid FROM tags p JOIN runs r ON r.run_uuid = p.run_uuid
WHERE p.key = ? AND p.value = ? AND r.lifecycle_stage = 'active' AND r.status <> 'RUNNING'
AND EXISTS (SELECT 1 FROM tags WHERE key = ? AND value = 'trial' AND run_uuid = r.run_uuid)
AND EXISTS (SELECT 1 FROM tags WHERE key = ? AND run_uuid = r.run_uuid)
AND EXISTS (SELECT 1 FROM latest_metrics WHERE key = ? AND run_uuid = r.run_uuid)
"""
_VALUE = "SELECT w.row, t.value FROM wanted w CROSS JOIN {} t ON t.key = ? AND t.run_uuid = w.run_uuid"
_METRIC = (
    "SELECT w.row, t.value, t.is_nan FROM wanted w CROSS JOIN latest_metrics t ON t.key = ? AND t.run_uuid = w.run_uuid"
)


def ended_ids(ref: StudyRef, parent: str) -> set[str]:
    """Run ids of the trials of a study that have ended.

    Raises:
        sqlite3.Error: The database is not of the schema known here.
    """
    with closing(_open(ref)) as connection:
        return {row[0] for row in connection.execute(_ENDED, (PARENT, parent, KIND, STATUS, LAST_METRIC))}


def trials(ref: StudyRef, run_ids: Iterable[str]) -> pd.DataFrame:
    """Rows of these runs, in the order in which they started.

    Raises:
        sqlite3.Error: The database is not of the schema known here.
    """
    with closing(_open(ref)) as connection:
        connection.execute("CREATE TEMP TABLE ids (run_uuid TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO ids VALUES (?)", ((run_id,) for run_id in run_ids))
        # Ids in order, so that the indices over (key, run_uuid) are walked in order too.
        connection.execute("CREATE TEMP TABLE wanted (row INTEGER PRIMARY KEY, run_uuid TEXT)")
        connection.execute("INSERT INTO wanted SELECT row_number() OVER (ORDER BY run_uuid) - 1, run_uuid FROM ids")
        found = connection.execute(
            "SELECT w.run_uuid, r.start_time FROM wanted w CROSS JOIN runs r ON r.run_uuid = w.run_uuid ORDER BY w.row"
        ).fetchall()
        raw: dict[str, object] = {
            "run_id": [run_id for run_id, _ in found],
            "started": np.array([start for _, start in found], dtype=np.float64),
        }
        n = len(found)
        raw |= {column: _texts(connection, "tags", key, n) for column, key in TAGS.items()}
        raw |= {key: _texts(connection, "params", key, n) for key in PARAMS}
        raw |= {column: _numbers(connection, key, n) for column, key in METRICS.items()}
        rungs = connection.execute(
            "SELECT DISTINCT key FROM latest_metrics WHERE key >= ? AND key < ?", (RUNG, RUNG[:-1] + "0")
        ).fetchall()
        for (key,) in rungs:
            values = _numbers(connection, key, n)
            if np.isfinite(values).any():
                raw[RUNG_COLUMN + key.removeprefix(RUNG)] = values
    table = to_table(pd.DataFrame(raw), ref.name)
    return table.sort_values(["started", "run_id"], ignore_index=True)


def _open(ref: StudyRef) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{sqlite_file(ref.tracking_uri).absolute()}?mode=ro", uri=True)


def _texts(connection: sqlite3.Connection, table: str, key: str, n: int) -> "np.typing.NDArray[np.object_]":
    out = np.full(n, None, dtype=object)
    found = connection.execute(_VALUE.format(table), (key,)).fetchall()
    if found:
        rows, values = zip(*found, strict=True)
        out[list(rows)] = values
    return out


def _numbers(connection: sqlite3.Connection, key: str, n: int) -> "np.typing.NDArray[np.float64]":
    out = np.full(n, np.nan)
    for row, value, is_nan in connection.execute(_METRIC, (key,)):
        out[row] = np.nan if is_nan else value
    return out
