"""Ray Tune as its documentation has it: function trainable, OptunaSearch, ASHAScheduler, MLflowLoggerCallback.

As in docs.ray.io's "Using MLflow with Tune" and "Running Tune experiments with Optuna"; MLflow on SQLite, for its file
store is no longer accepted. Two trials at once, four reports each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import SEED, Contender, module_command, note_end, noted_ends
from benchmarks.overhead.problem import BASE_LR, FAMILIES, PHI, REPORTS, reports

CONTENDER = Contender(
    "ray-documented",
    "Ray Tune as documented: function trainable, OptunaSearch, ASHAScheduler, MLflowLoggerCallback on SQLite",
    module_command("benchmarks.overhead.contenders.ray_documented"),
    noted_ends,
    most=60,
    database="mlflow.db",
)


def main() -> None:
    folder, trials = Path(sys.argv[1]), int(sys.argv[2])
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        for report in reports(config["family"], config["phi"], config["base_lr"]):
            tune.report({"loss": report.loss, "steps": report.step})

    class Note(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            note_end(folder, trial.last_result["steps"])

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    mlflow = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", experiment_name="overhead")
    tuner = tune.Tuner(
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
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), callbacks=[mlflow, Note()]),
    )
    tuner.fit()


if __name__ == "__main__":
    main()
