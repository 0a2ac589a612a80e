"""Ray Tune at its leanest: class trainable, actor reuse, loggers off; and the same with MLflowLoggerCallback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import SEED, Contender, module_command, note_end, noted_ends
from benchmarks.overhead.problem import BASE_LR, FAMILIES, PHI, REPORTS, Report, reports

_MODULE = "benchmarks.overhead.contenders.ray_reuse"
FLOOR = Contender(
    "ray-reuse",
    "Ray Tune, class trainable with actor reuse, OptunaSearch, ASHA; loggers off, nothing recorded",
    module_command(_MODULE),
    noted_ends,
)
WITH_MLFLOW = Contender(
    "ray-reuse-mlflow",
    "The same with MLflowLoggerCallback on SQLite",
    module_command(_MODULE, "mlflow"),
    noted_ends,
    most=200,
    database="mlflow.db",
)


def main() -> None:
    folder, trials, record = Path(sys.argv[1]), int(sys.argv[2]), "mlflow" in sys.argv[3:]
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    class Train(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self._reports: Iterator[Report] = reports(config["family"], config["phi"], config["base_lr"])

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def step(self) -> dict[str, Any]:
            report = next(self._reports)
            return {"loss": report.loss, "steps": report.step, "done": report.number == len(REPORTS)}

    class Note(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            note_end(folder, trial.last_result["steps"])

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    mlflow = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", experiment_name="overhead")
    tuner = tune.Tuner(
        Train,
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
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            callbacks=[mlflow, Note()] if record else [Note()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()


if __name__ == "__main__":
    main()
