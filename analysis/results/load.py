"""A study's trials: earlier ones from the cache, newly ended ones from MLflow."""

import re
import sqlite3
from typing import Any

import pandas as pd

from phitune.analysis.results.cache import CacheKey, read_cache, write_cache
from phitune.analysis.results.journal import Unwritten, unwritten
from phitune.analysis.results.mlflow_runs import client as mlflow_client
from phitune.analysis.results.mlflow_runs import sqlite as mlflow_sqlite
from phitune.analysis.results.mlflow_runs.layout import COUNTS
from phitune.analysis.results.study_ref import JOURNAL_FILE, StudyRef, is_sqlite
from phitune.analysis.results.table import require_completed, tidy

# Trials carry the times of the machines they ran on, whose clocks may differ.
CLOCKS_DIFFER_MS = 3_600_000


def load(ref: StudyRef) -> pd.DataFrame:
    """All trials of a study that have ended, one row each.

    Columns: `study trial_id run_id cell workload` (label) `optimizer budget full_budget` (iterations) `phase` (explore,
    replicate) `status` (completed; stopped, which is censored; diverged, which is infeasible; failed) `family phi`
    (UBA's only, else NaN) `base_lr mean_lr schedule` (JSON) `seed finalist` (replicates: the trial they repeat)
    `origin` (of explore trials: quasi-random, tpe, or the cell whose best they try) `deterministic objective_name
    mode metric_name metric_mode objective` (NaN unless completed) `val_loss val_metric ema_val_loss ema_val_metric
    test_loss test_metric` (where the trial ended, at `steps`) `hessian_max hessian_min` (measured last, if they were)
    `steps started` (Unix time, s) `seconds` (wall time at work; the device time of a trial is not recorded) `rung_1
    rung_2 ...` (the judged value at each rung). Types are those of `COLUMNS`; rungs are float64.

    Trials in flight are left out. If a trial id occurs twice, the run that started last counts. Rows are cached in
    `.results.parquet` in the study's output directory. From an embedded database only runs that are not cached are
    read; from a server, runs that ended after the study, and all runs while it is running (a server cannot be queried
    for late writes). What MLflow lacks is read from the journal in the output directory (`journal.unwritten`); these
    rows have no `run_id` and are not cached.

    Args:
        ref: From `find_study`.

    Returns:
        The table, sorted by trial id.

    Raises:
        InputError: The study has no trial that ran to its end.
    """
    return load_with_notes(ref)[0]


def load_with_notes(ref: StudyRef) -> tuple[pd.DataFrame, list[str]]:
    """The table of `load`, and its errors; and a sentence for each thing that MLflow lacks."""
    parent = mlflow_client.parent_run(ref)
    key = CacheKey(ref.name, ref.public_uri, str(parent.info.run_id))
    cached = read_cache(ref.out_dir, key) if ref.out_dir is not None else None
    before, ended_before = cached or (tidy(pd.DataFrame()), None)
    rows = _updated(ref, key.parent, before, ended_before)
    ended = None if parent.info.status == "RUNNING" else parent.info.end_time
    if ref.out_dir is not None and (not rows.equals(before) or ended != ended_before):
        write_cache(ref.out_dir, key, rows, ended)
    rows = rows.drop_duplicates("trial_id", keep="last")
    more = unwritten(ref, rows)
    notes = _notes(ref, len(rows), more, parent)
    if len(more.rows):
        rows = tidy(pd.concat([rows, more.rows]) if len(rows) else more.rows)
    require_completed(rows, f"{ref.name!r} at {ref.public_uri}")
    return rows.sort_values("trial_id", ignore_index=True), notes


def _notes(ref: StudyRef, written: int, more: Unwritten, parent: Any) -> list[str]:
    notes = [ref.trouble] if ref.trouble else []
    total = written + len(more.rows)
    if len(more.rows):
        notes.append(
            f"{len(more.rows)} of {total} trials are not in MLflow and were read from {ref.out_dir}/{JOURNAL_FILE}; "
            "the command that searched the study writes them there"
        )
    if more.damaged:
        lines = ", ".join(map(str, more.damaged[:5])) + (", …" if len(more.damaged) > 5 else "")
        notes.append(
            f"{ref.out_dir}/{JOURNAL_FILE}: {len(more.damaged)} lines ({lines}) cannot be read and are left out"
        )
    counted = sum(int(number) for number in re.findall(r"\d+", parent.data.tags.get(COUNTS, "")))
    if counted > total:
        notes.append(f"{counted - total} of the {counted} trials that were searched are not in MLflow and are left out")
    return notes


def _updated(ref: StudyRef, parent: str, before: pd.DataFrame, ended_before: int | None) -> pd.DataFrame:
    """The rows of all ended runs, in the order in which they started."""
    if not is_sqlite(ref.tracking_uri):
        return from_server(ref, parent, before, ended_before)
    try:
        return from_database(ref, parent, before)
    except sqlite3.Error:
        # Another version's tables: MLflow itself can read them.
        return mlflow_client.ended_trials(ref, parent)


def from_database(ref: StudyRef, parent: str, before: pd.DataFrame) -> pd.DataFrame:
    """Cached rows whose runs still exist, and the rows of all other ended runs."""
    run_ids = mlflow_sqlite.ended_runs(ref, parent)
    kept = before[before["run_id"].isin(run_ids)]
    cached = set(kept["run_id"])
    return _join(kept, mlflow_sqlite.trials(ref, parent, [run_id for run_id in run_ids if run_id not in cached]))


def from_server(ref: StudyRef, parent: str, before: pd.DataFrame, ended_before: int | None) -> pd.DataFrame:
    """Cached rows and those of runs that ended after the study; all runs anew if the study was running."""
    if ended_before is None:
        return mlflow_client.ended_trials(ref, parent)
    fresh = mlflow_client.ended_trials(ref, parent, ended_before - CLOCKS_DIFFER_MS)
    return _join(before[~before["run_id"].isin(fresh["run_id"])], fresh)


def _join(before: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    parts = [part for part in (before, fresh) if len(part)]
    if not parts:
        return fresh
    return tidy(pd.concat(parts)).sort_values(["started", "run_id"], ignore_index=True)
