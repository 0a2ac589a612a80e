"""Ray Tune at its leanest: class trainable, actor reuse, loggers off; and the same with MLflowLoggerCallback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import Contender, module_command, noted_ends
from benchmarks.overhead.problem import REPORTS, Report, reports

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

    from benchmarks.overhead.tune_search import Note, mlflow_logger, tuner

    class Train(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self._reports: Iterator[Report] = reports(config["family"], config["phi"], config["base_lr"])

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def step(self) -> dict[str, Any]:
            report = next(self._reports)
            return {"loss": report.loss, "steps": report.step, "done": report.number == len(REPORTS)}

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    run_config = tune.RunConfig(
        storage_path=str(folder / "tune"),
        callbacks=[mlflow_logger(folder), Note(folder)] if record else [Note(folder)],
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        verbose=0,
    )
    tuner(Train, trials, run_config, reuse_actors=True).fit()


if __name__ == "__main__":
    main()
