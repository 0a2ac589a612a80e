"""MLflow to a tidy table: one row a trial. Parquet in and out."""

import json
import os
import sqlite3
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pandas as pd

from trainables.errors import InputError

DEFAULT_TRACKING_URI = "sqlite:///runs/mlflow.db"
STUDY_FILE = "study.json"
ANSWER_WITHIN_SECONDS = 10.0
PAGE = 1000
SQLITE = "sqlite:///"

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
    "steps": WHOLE,
    "seconds": NUMBER,
}
CURVES = ("lr", "train_loss", "val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "grad_norm", "weight_norm")


@dataclass(frozen=True)
class StudyRef:
    """Where a study's trials are.

    Attributes:
        name: The study's name, which is the MLflow experiment's.
        tracking_uri: MLflow's tracking URI.
        out_dir: The study's output directory, if known.
        run_id: Its parent run in MLflow, if known.
    """

    name: str
    tracking_uri: str
    out_dir: Path | None = None
    run_id: str | None = None

    @property
    def public_uri(self) -> str:
        """The tracking URI without user name and password and with an absolute path, fit for a report."""
        parts = urlsplit(self.tracking_uri)
        if self.tracking_uri.startswith(SQLITE):
            return f"{SQLITE}{Path(self.tracking_uri.removeprefix(SQLITE)).resolve()}"
        if "@" not in parts.netloc:
            return self.tracking_uri
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def find_study(study: str, tracking_uri: str | None = None) -> StudyRef:
    """Resolve what a user calls a study.

    Args:
        study: Its output directory (which holds study.json), or its name.
        tracking_uri: Overrides the one in study.json, $MLFLOW_TRACKING_URI and sqlite:///runs/mlflow.db, in that order.

    Returns:
        The study's name, tracking URI and output directory.

    Raises:
        InputError: No such study, or nothing answers at the tracking URI. Nothing is created by asking.
    """
    given = Path(study)
    named = Path("runs") / study
    out_dir = next((p for p in (given, named) if (p / STUDY_FILE).is_file()), None)
    if out_dir is None and given.is_dir() and (given.is_absolute() or len(given.parts) > 1):
        raise InputError(f"STUDY: {study!r} holds no {STUDY_FILE}, so it is not a study's output directory")
    notes = _read_notes(out_dir) if out_dir is not None else {}
    name = str(notes.get("name") or study)
    uri = tracking_uri or notes.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    # Another tracking store than the directory's own has another run.
    ref = StudyRef(name, str(uri), out_dir)
    if ref.public_uri == notes.get("tracking_uri"):
        ref = replace(ref, run_id=notes.get("parent_run_id"))
    _require_answer(ref)
    names = _experiments(ref)
    if name not in names:
        near = get_close_matches(name, names, n=3, cutoff=0.5) or names[:5]
        known = f"; there are: {', '.join(near)}" if near else "; it holds no study"
        raise InputError(f"STUDY: no study {study!r} at {ref.public_uri}{known}")
    return ref


def load(ref: StudyRef) -> pd.DataFrame:
    """All trials of a study that have ended, one row each.

    Columns: `study trial_id run_id cell workload` (label) `optimizer budget full_budget` (iterations) `phase` (explore,
    replicate) `status` (completed, stopped, diverged, failed) `family phi` (UBA's only, else NaN) `base_lr mean_lr
    schedule` (JSON) `seed finalist` (replicates: the trial they repeat) `deterministic objective_name mode metric_name
    metric_mode objective` (NaN unless completed) `val_loss val_metric ema_val_loss ema_val_metric test_loss
    test_metric` (where the trial ended, at `steps`) `steps seconds rung_1 rung_2 ...` (the judged value at each rung).
    Types are those of `COLUMNS`; rungs are float64.

    Trials in flight are left out. Should a trial id occur twice, the run that started last counts.

    Args:
        ref: From `find_study`.

    Returns:
        The table, sorted by trial id.

    Raises:
        InputError: The study has no trial that ran to its end.
    """
    rows = [_row(run, ref.name) for run in _trial_runs(ref)]
    if not rows:
        raise InputError(f"STUDY: {ref.name!r} at {ref.public_uri} has no finished trial yet")
    ended = Counter(str(row["status"]) for row in rows)
    if not ended["completed"]:
        counts = ", ".join(f"{count} {status}" for status, count in ended.items())
        raise InputError(
            f"STUDY: {ref.name!r} at {ref.public_uri} has no completed trial ({counts}): nothing to analyse"
        )
    return tidy(pd.DataFrame(rows)).drop_duplicates("trial_id", keep="last").sort_values("trial_id", ignore_index=True)


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with all of `COLUMNS` in order, in their types, then the rungs in order."""
    rungs = sorted((c for c in table.columns if c.startswith("rung_")), key=lambda c: int(c[5:]))
    out = table.reindex(columns=[*COLUMNS, *rungs])
    return out.astype({**COLUMNS, **dict.fromkeys(rungs, NUMBER)})


def curves(ref: StudyRef, trial_ids: list[str], metrics: tuple[str, ...] = CURVES) -> pd.DataFrame:
    """Training curves in long form: columns trial_id, metric, step, value. One request a trial and metric."""
    client = _client(ref)
    wanted = {str(run.data.tags["phitune.trial_id"]): run.info.run_id for run in _trial_runs(ref)}
    unknown = [t for t in trial_ids if t not in wanted]
    if unknown:
        raise InputError(f"trial_ids: {unknown[0]!r} is not a finished trial of {ref.name!r}")
    rows = [
        (trial, metric, point.step, point.value)
        for trial in trial_ids
        for metric in metrics
        for point in client.get_metric_history(wanted[trial], metric)
    ]
    return pd.DataFrame(rows, columns=["trial_id", "metric", "step", "value"])


def parent_run_id(ref: StudyRef) -> str:
    """The study's parent run; if its directory is unknown, the one of that name that started last.

    Raises:
        InputError: The experiment has no run with the tag phitune.kind=study.
    """
    if ref.run_id:
        return ref.run_id
    runs = list(_search(ref, "tags.`phitune.kind` = 'study'"))
    if not runs:
        raise InputError(f"STUDY: the experiment {ref.name!r} at {ref.public_uri} was not made by phitune search")
    return str(max(runs, key=lambda run: run.info.start_time).info.run_id)


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
    table = pd.read_parquet(path)
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise InputError(f"results: {str(path)!r} is not a results table; it lacks the column {missing[0]!r}")
    return tidy(table)


def _row(run: Any, study: str) -> dict[str, Any]:
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    own = {key.removeprefix("phitune."): value for key, value in tags.items() if key.startswith("phitune.")}
    row: dict[str, Any] = {key: own.get(key) for key in ("trial_id", "cell", "phase", "status", "finalist", "mode")}
    row |= {key: own.get(key) for key in ("metric_name", "metric_mode")}
    row |= {key: params.get(key) for key in ("workload", "optimizer", "family", "schedule")}
    row |= {key: _number(params.get(key)) for key in ("budget", "phi", "base_lr", "mean_lr", "seed")}
    row |= {key.removeprefix("final/"): metrics[key] for key in metrics if key.startswith("final/")}
    row |= {f"rung_{key.removeprefix('rung/')}": metrics[key] for key in metrics if key.startswith("rung/")}
    row |= {"study": study, "run_id": run.info.run_id, "objective_name": own.get("objective")}
    row |= {"full_budget": _number(own.get("full_budget")), "deterministic": own.get("deterministic") == "true"}
    # Where a stopped trial stood is not what it would have reached: only completed ones have an objective.
    if row["status"] != "completed":
        row["objective"] = float("nan")
    if row["family"] != "uba":
        row["phi"] = float("nan")
    return row


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else float("nan")
    except ValueError:
        return float("nan")


def _read_notes(out_dir: Path) -> dict[str, Any]:
    path = out_dir / STUDY_FILE
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        notes = None
    if not isinstance(notes, dict) or not notes.get("name"):
        raise InputError(f"STUDY: {str(path)!r} is damaged; expected JSON with 'name' and 'tracking_uri'")
    return notes


def _client(ref: StudyRef) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=ref.tracking_uri)


def _require_answer(ref: StudyRef) -> None:
    """Ask cheaply whether MLflow is there: its own client creates missing databases and retries for minutes."""
    parts = urlsplit(ref.tracking_uri)
    if parts.scheme == "sqlite":
        path = Path(ref.tracking_uri.removeprefix("sqlite:///").partition("?")[0])
        if not path.is_file():
            raise InputError(f"tracking URI: no MLflow database at {str(path)!r} ({ref.public_uri})")
        try:
            with sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True) as connection:
                found = connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone()
        except sqlite3.DatabaseError:
            found = None
        if found is None:
            raise InputError(f"tracking URI: {str(path)!r} is not an MLflow database")
    elif parts.scheme in ("http", "https"):
        try:
            urllib.request.urlopen(
                f"{StudyRef('', ref.tracking_uri).public_uri.rstrip('/')}/health", timeout=ANSWER_WITHIN_SECONDS
            )
        except urllib.error.HTTPError:
            return  # It answers; what it lets us read shows later.
        except (OSError, ValueError) as error:
            raise InputError(f"tracking URI: no MLflow server answers at {ref.public_uri} ({error})") from None


def _experiments(ref: StudyRef) -> list[str]:
    from mlflow.exceptions import MlflowException

    try:
        return [str(e.name) for e in _client(ref).search_experiments(max_results=PAGE) if e.name != "Default"]
    except (MlflowException, ImportError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"tracking URI: MLflow at {ref.public_uri} cannot be read: {reason}") from None


def _search(ref: StudyRef, query: str) -> Iterator[Any]:
    client = _client(ref)
    experiment = client.get_experiment_by_name(ref.name)
    if experiment is None:
        raise InputError(f"STUDY: no study {ref.name!r} at {ref.public_uri}")
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id], query, max_results=PAGE, order_by=["attribute.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _trial_runs(ref: StudyRef) -> Iterator[Any]:
    """Ended trials of the study, in the order in which they started."""
    parent = parent_run_id(ref)
    for run in _search(ref, f"tags.`mlflow.parentRunId` = '{parent}'"):
        tags = run.data.tags
        if run.info.status != "RUNNING" and tags.get("phitune.kind") == "trial" and tags.get("phitune.status"):
            yield run
