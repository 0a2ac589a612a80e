"""What the contenders on Ray Tune share; imported in their own processes only, for it imports Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.overhead.contender import SEED, note_end
from benchmarks.overhead.problem import BASE_LR, FAMILIES, PHI, REPORTS


class Note(tune.Callback):  # type: ignore[misc]
    """Notes the end of every trial in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        note_end(self._folder, trial.last_result["steps"])


def tuner(train: Any, trials: int, run_config: tune.RunConfig, **settings: Any) -> tune.Tuner:
    """OptunaSearch and ASHAScheduler over the space that all contenders search.

    Args:
        settings: Of `tune.TuneConfig`, besides.
    """
    return tune.Tuner(
        train,
        param_space={
            "family": tune.choice(FAMILIES),
            "phi": tune.loguniform(*PHI),
            "base_lr": tune.loguniform(*BASE_LR),
        },
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=OptunaSearch(seed=SEED),
            scheduler=ASHAScheduler(max_t=len(REPORTS), grace_period=1, reduction_factor=2),
            num_samples=trials,
            **settings,
        ),
        run_config=run_config,
    )


def mlflow_logger(folder: Path) -> MLflowLoggerCallback:
    """Ray's own, on SQLite in the folder."""
    return MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", experiment_name="overhead")
