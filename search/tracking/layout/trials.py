"""What a trial looks like in MLflow: name, tags, params, metrics, description."""

from __future__ import annotations

import json

from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from phitune.search.records.record import Record, Trial
from phitune.search.tracking.facts import CellFacts
from phitune.trainables.mlflow_names import CELL, KIND, STUDY_RUN

RUN_STATUS = {"completed": "FINISHED", "stopped": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
NOTE = "mlflow.note.content"
_LONGEST_TAG = 5000
_ENDS = {
    "completed": "trained to its end",
    "stopped": "stopped early: worse than its peers",
    "diverged": "diverged",
    "failed": "failed",
}


def run_name(trial: Trial, cell: CellFacts) -> str:
    """Name of a trial's run, such as ``uba φ=2.1 lr=0.14 seed 0``; replicates of an explore trial count from 1."""
    name = f"{configuration_name(trial)} seed {_repeat(trial)}"
    return f"{name} · {cell.shown}" if cell.shown else name


def configuration_name(trial: Trial) -> str:
    """A configuration, such as ``uba φ=2.1 lr=0.14``."""
    numbers = {key: value for key, value in trial.schedule.items() if isinstance(value, int | float)}
    shape = "".join(f" {'φ' if key == 'phi' else key}={value:.2g}" for key, value in numbers.items())
    return f"{trial.family}{shape} lr={trial.base_lr:.2g}"


def _repeat(trial: Trial) -> int:
    """The trial's place among the seeds of its configuration."""
    if trial.phase == "explore":
        return 0
    _, dot, index = trial.trial_id.rpartition("/")[2].partition(".")
    return 1 + (int(index) if dot else trial.number)


def tags(trial: Trial, cell: CellFacts, cell_run: str, study_run: str) -> dict[str, str]:
    """Tags that are known when the trial starts."""
    known = {
        MLFLOW_PARENT_RUN_ID: cell_run,
        STUDY_RUN: study_run,
        KIND: "trial",
        "phitune.trial_id": trial.trial_id,
        CELL: trial.cell,
        "phitune.phase": trial.phase,
        "phitune.objective": cell.objective,
        "phitune.mode": cell.mode,
        "phitune.metric_name": cell.metric_name,
        "phitune.metric_mode": cell.metric_mode,
        "phitune.full_budget": str(cell.full_budget),
        "phitune.deterministic": str(cell.deterministic).lower(),
    }
    optional = {"phitune.finalist": trial.finalist, "phitune.origin": trial.origin}
    return known | {key: value for key, value in optional.items() if value}


def end_tags(record: Record, cell: CellFacts) -> dict[str, str]:
    """Tags that are known when the trial has ended."""
    texts = {
        "phitune.status": record.status,
        "phitune.reason": record.reason,
        "phitune.traceback": record.traceback,
        NOTE: trial_note(record, cell),
    }
    return {key: text[-_LONGEST_TAG:] for key, text in texts.items() if text}


def params(trial: Trial, cell: CellFacts) -> list[Param]:
    shape = {key: value for key, value in trial.schedule.items() if key != "family"}
    values = {
        "workload": cell.workload,
        "optimizer": cell.optimizer,
        "budget": cell.budget,
        "family": trial.family,
        **shape,
        "base_lr": trial.base_lr,
        "mean_lr": trial.mean_lr,
        "seed": trial.seed,
        "schedule": json.dumps(trial.schedule),
    }
    return [Param(key, str(value)) for key, value in values.items()]


def metrics(record: Record) -> list[Metric]:
    """Curve points, judged rung values and final figures; times spread over the trial's duration."""

    def at(step: float) -> int:
        return int(1000 * (record.started + record.seconds * step / max(record.steps, 1)))

    points = [
        Metric(key, value, at(point["step"]), int(point["step"]))
        for point in [*record.curve, *record.diagnosed]
        for key, value in point.items()
        if key != "step"
    ]
    for number, (step, value) in enumerate(record.rungs, start=1):
        points.append(Metric(f"rung/{number}", value, at(step), int(step)))
    # At step 0 a figure is drawn as a bar, which compares runs; what is logged first is what a comparison shows first.
    start = at(0)
    names = sorted(record.final, key=lambda key: key != "objective")
    final = [Metric(f"final/{key}", record.final[key], start, 0) for key in names]
    size = {"final/steps": record.steps, "final/seconds": record.seconds}
    return final + points + [Metric(key, value, start, 0) for key, value in size.items()]


def trial_note(record: Record, cell: CellFacts) -> str:
    """A trial's description in Markdown: its configuration, how it ended, how to use it."""
    trial = record.trial
    lines = [
        f"**{trial.family}** at base LR {trial.base_lr:.3g} (mean LR {trial.mean_lr:.3g}) on {cell.workload} with "
        f"{cell.optimizer}: {_ENDS[record.status]}, {record.steps} of {cell.budget} iterations in "
        f"{record.seconds:.2g} s.",
    ]
    if record.reason:
        lines.append(f"Reason: {record.reason}")
    if trial.finalist:
        lines.append(f"Repeats `{trial.finalist}` with a fresh seed, never stopped early.")
    lines.append(
        "The schedule for one's own training:\n```python\nfrom phitune.trainables.schedules import from_dict\n"
        f"schedule = from_dict({trial.schedule!r})\n"
        f"scheduler = schedule.lr_scheduler(optimizer, {cell.budget})  # optimizer at lr={trial.base_lr:.6g}\n```"
    )
    return "\n\n".join(lines)
