"""Trials that MLflow lacks, from the study's own journal: an ended trial is there at once, in MLflow a little later."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phitune.analysis.results.mlflow_runs.layout import METRICS, PARAMS, RUNG_COLUMN, TAGS, to_table
from phitune.analysis.results.study_ref import JOURNAL_FILE, STUDY_FILE, StudyRef
from phitune.analysis.results.table import tidy

_TRIAL_ID = re.compile(rb'"trial_id":\s*"([^"\\]*)"')


@dataclass(frozen=True)
class Unwritten:
    """Ended trials that are not in MLflow.

    Attributes:
        rows: Rows of the results table, without `run_id`.
        damaged: Numbers of the journal's lines that cannot be read.
    """

    rows: pd.DataFrame
    damaged: tuple[int, ...] = ()


def unwritten(ref: StudyRef, table: pd.DataFrame) -> Unwritten:
    """The trials of the journal in the study's output directory that a table of its trials in MLflow lacks.

    None where the directory is not known or says that its trials are in another tracking store.
    """
    path = None if ref.out_dir is None or ref.run_id is None else ref.out_dir / JOURNAL_FILE
    if path is None or not path.is_file():
        return Unwritten(tidy(pd.DataFrame()))
    known = set(table["trial_id"])
    cells = json.loads((path.parent / STUDY_FILE).read_text(encoding="utf-8")).get("cells", {})
    rows: dict[str, dict[str, Any]] = {}
    damaged = []
    for number, line in _lines(path):
        # Lines of trials that are known are not parsed: they hold whole training curves.
        match = _TRIAL_ID.search(line, 0, 400)
        if match is not None and match[1].decode(errors="replace") in known:
            continue
        try:
            record = json.loads(line)
            trial_id = record["trial"]["trial_id"]
            if trial_id not in known:
                rows.setdefault(trial_id, _raw(record, cells[record["trial"]["cell"]]))
        except (ValueError, TypeError, KeyError, AttributeError):
            damaged.append(number)
    if not rows:
        return Unwritten(tidy(pd.DataFrame()), tuple(damaged))
    columns = dict.fromkeys(
        [*TAGS, *PARAMS, *METRICS, "run_id", "started", *(key for row in rows.values() for key in row)]
    )
    raw = pd.DataFrame(list(rows.values()), columns=list(columns))
    return Unwritten(to_table(raw, ref.name), tuple(damaged))


def count_ended(path: Path) -> int:
    """Number of trials in a journal, whose lines are not parsed for it."""
    return len({match[1] for _, line in _lines(path) if (match := _TRIAL_ID.search(line, 0, 400))})


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines that are not blank, and their numbers; the last one may still be being written."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") and line.strip():
                yield number, line


def _raw(record: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """A record as `mlflow_runs.client` reads it back: texts of tags and params, the last value of each metric."""
    trial, schedule = record["trial"], record["trial"]["schedule"]
    row: dict[str, Any] = {key: trial.get(key) or None for key in ("trial_id", "cell", "phase", "finalist", "origin")}
    row |= {key: cell[key] for key in ("mode", "metric_name", "metric_mode", "full_budget")}
    row |= {"status": record["status"], "objective_name": cell["objective"]}
    row |= {"deterministic": str(cell["deterministic"]).lower()}
    row |= {key: cell[key] for key in ("workload", "optimizer", "budget")}
    row |= {key: trial[key] for key in ("family", "base_lr", "mean_lr", "seed")}
    row |= {"schedule": json.dumps(schedule), "phi": schedule.get("phi"), "started": int(1000 * record["started"])}
    last: dict[str, float] = {}
    for point in sorted([*record["curve"], *record["diagnosed"]], key=lambda point: float(point["step"])):
        last |= point
    metrics = {**last, **{f"final/{key}": value for key, value in record["final"].items()}}
    metrics |= {"final/steps": record["steps"], "final/seconds": record["seconds"]}
    values = {column: metrics[key] for column, key in METRICS.items() if key in metrics}
    values |= {f"{RUNG_COLUMN}{number}": value for number, (_, value) in enumerate(record["rungs"], 1)}
    # MLflow's databases hold no infinity.
    return row | {column: float(np.nan_to_num(value, nan=np.nan)) for column, value in values.items()}
