"""The tags, params and metrics of a trial's MLflow run that become columns of the results table."""

import pandas as pd

from phitune.analysis.results.table import COLUMNS, WHOLE, tidy

_OWN = ("trial_id", "cell", "phase", "status", "finalist", "origin", "mode", "metric_name", "metric_mode")
TAGS = {
    **{name: f"phitune.{name}" for name in _OWN},
    "objective_name": "phitune.objective",
    "full_budget": "phitune.full_budget",
    "deterministic": "phitune.deterministic",
}
PARAMS = ("workload", "optimizer", "family", "schedule", "budget", "phi", "base_lr", "mean_lr", "seed")
_FINALS = ("val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "test_loss", "test_metric", "steps", "seconds")
METRICS = {
    **{name: f"final/{name}" for name in ("objective", *_FINALS)},
    # Of these the point of the curve with the largest step is the last one measured.
    **{name: name for name in ("hessian_max", "hessian_min")},
}
RUNG, RUNG_COLUMN = "rung/", "rung_"
# The writer logs it last and for every status: a run without it was interrupted while it was written.
LAST_METRIC = METRICS["seconds"]
# In the layout before phitune had a run a cell, trials were children of the study's run.
PARENT = "mlflow.parentRunId"
STATUS = TAGS["status"]
# Of the study's run: its study's id; how many trials ended in each way, such as "3 completed, 1 failed".
STUDY_ID, COUNTS = "phitune.study_id", "phitune.trials"


def to_table(raw: pd.DataFrame, study: str) -> pd.DataFrame:
    """Raw columns (tags and params as text, metrics as numbers, `run_id`, `started` in ms) as rows of the table.

    Only completed trials keep an objective: the last value of a stopped one is not what it would have reached. phi is
    UBA's.
    """
    out = raw.assign(study=study, deterministic=raw["deterministic"] == "true", started=raw["started"] / 1000.0)
    for column in ("budget", "full_budget", "seed", "steps", "phi", "base_lr", "mean_lr"):
        numbers = pd.to_numeric(out[column], errors="coerce")
        out[column] = numbers.round() if COLUMNS[column] == WHOLE else numbers
    out["objective"] = out["objective"].where(out["status"] == "completed")
    out["phi"] = out["phi"].where(out["family"] == "uba")
    return tidy(out)
