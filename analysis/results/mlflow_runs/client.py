"""Trials from MLflow through its client: any tracking store, a page at a time."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd

from phitune.analysis.results.mlflow_runs.layout import (
    LAST_METRIC,
    METRICS,
    PARAMS,
    PARENT,
    RUNG,
    RUNG_COLUMN,
    STATUS,
    STUDY_ID,
    TAGS,
    to_table,
)
from phitune.analysis.results.study_ref import PAGE, StudyRef, client_of
from phitune.trainables.errors import InputError
from phitune.trainables.mlflow_names import KIND, STUDY_RUN

CURVES = ("lr", "train_loss", "val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "grad_norm", "weight_norm")


def parent_run(ref: StudyRef) -> Any:
    """The study's parent run: the one its directory names, else one with its id, else the last one in its experiment.

    Raises:
        InputError: The experiment has no run with the tag phitune.kind=study.
    """
    from mlflow.exceptions import MlflowException

    if ref.run_id:
        with suppress(MlflowException):
            return client_of(ref).get_run(ref.run_id)
    runs = list(_search(ref, f"tags.`{KIND}` = 'study'"))
    if not runs:
        raise InputError(f"STUDY: the experiment {ref.name!r} at {ref.public_uri} was not made by phitune search")
    return max(runs, key=lambda run: (run.data.tags.get(STUDY_ID) == (ref.study_id or ""), run.info.start_time))


def is_searched(ref: StudyRef) -> bool:
    """Whether a search of the study goes on, by its run in MLflow; errors as of `parent_run`."""
    return bool(parent_run(ref).info.status == "RUNNING")


def parent_run_id(ref: StudyRef) -> str:
    """The id of `parent_run`, and its errors."""
    return str(parent_run(ref).info.run_id)


def cell_runs(ref: StudyRef, parent: str) -> dict[tuple[str, str, int], Any]:
    """The runs of the study's cells by workload, optimizer and budget; none in a study of an earlier layout."""
    runs = _search(ref, f"tags.`{STUDY_RUN}` = '{parent}' AND tags.`{KIND}` = 'cell'")
    # A run has no parameters yet where the writer died between the two.
    params = ((run, run.data.params) for run in runs if run.data.params)
    return {(each["workload"], each["optimizer"], int(each["budget"])): run for run, each in params}


def ended_trials(ref: StudyRef, parent: str, after: int | None = None) -> pd.DataFrame:
    """Rows of the trials that have ended, in the order in which they started.

    Args:
        ref: The study.
        parent: Its parent run's id.
        after: Only runs that ended later than this (ms since 1970); None for all.
    """
    rows = [_raw(run) for run in _trial_runs(ref, parent, after)]
    columns = [*TAGS, *PARAMS, *METRICS, "run_id", "started"]
    raw = pd.DataFrame(rows, columns=list(dict.fromkeys([*columns, *(key for row in rows for key in row)])))
    return to_table(raw, ref.name).sort_values(["started", "run_id"], ignore_index=True)


def curves(ref: StudyRef, trial_ids: list[str], metrics: tuple[str, ...] = CURVES) -> pd.DataFrame:
    """Training curves in long form: columns trial_id, metric, step, value. One request for each trial and metric.

    Raises:
        InputError: No such finished trial.
    """
    client = client_of(ref)
    run_ids = {str(run.data.tags[TAGS["trial_id"]]): run.info.run_id for run in _trial_runs(ref, parent_run_id(ref))}
    unknown = [t for t in trial_ids if t not in run_ids]
    if unknown:
        raise InputError(f"trial_ids: {unknown[0]!r} is not a finished trial of {ref.name!r}")
    rows = [
        (trial, metric, point.step, point.value)
        for trial in trial_ids
        for metric in metrics
        for point in client.get_metric_history(run_ids[trial], metric)
    ]
    return pd.DataFrame(rows, columns=["trial_id", "metric", "step", "value"])


def _raw(run: Any) -> dict[str, Any]:
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    row: dict[str, Any] = {column: tags.get(key) for column, key in TAGS.items()}
    row |= {key: params.get(key) for key in PARAMS}
    row |= {column: metrics.get(key) for column, key in METRICS.items()}
    row |= {RUNG_COLUMN + key.removeprefix(RUNG): metrics[key] for key in metrics if key.startswith(RUNG)}
    return row | {"run_id": run.info.run_id, "started": run.info.start_time}


def _trial_runs(ref: StudyRef, parent: str, after: int | None = None) -> Iterator[Any]:
    more = "" if after is None else f" AND attributes.end_time > {after}"
    known = set()
    for tag in (STUDY_RUN, PARENT):
        for run in _search(ref, f"tags.`{tag}` = '{parent}' AND tags.`{KIND}` = 'trial'{more}"):
            ended = run.info.status != "RUNNING" and LAST_METRIC in run.data.metrics
            if ended and run.data.tags.get(STATUS) and run.info.run_id not in known:
                known.add(run.info.run_id)
                yield run


def _search(ref: StudyRef, query: str) -> Iterator[Any]:
    client = client_of(ref)
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
