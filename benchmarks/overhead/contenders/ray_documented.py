"""Ray Tune as its documentation has it: function trainable, OptunaSearch, ASHAScheduler, MLflowLoggerCallback.

As in docs.ray.io's "Using MLflow with Tune" and "Running Tune experiments with Optuna"; MLflow on SQLite, for its file
store is no longer accepted. Two trials at once, four reports each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import Contender, module_command, noted_ends
from benchmarks.overhead.problem import reports

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

    from benchmarks.overhead.tune_search import Note, mlflow_logger, tuner

    def train(config: dict[str, Any]) -> None:
        for report in reports(config["family"], config["phi"], config["base_lr"]):
            tune.report({"loss": report.loss, "steps": report.step})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    callbacks = [mlflow_logger(folder), Note(folder)]
    tuner(train, trials, tune.RunConfig(storage_path=str(folder / "tune"), callbacks=callbacks)).fit()


if __name__ == "__main__":
    main()
