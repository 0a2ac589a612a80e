"""The Tune Trainable around a `Task`."""

from __future__ import annotations

import json
import os
from typing import Any

import ray
from ray import tune

from phitune.trainables.errors import ProcessLostError
from phitune.trainables.training.task import Task
from phitune.trainables.trial.relay import Relay


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after another in a warm process.

    The configuration holds ``trial_id``, ``cell``, ``family`` and ``task``, the text of a `Task`, and for a trial of a
    population also ``population``: JSON with the ``rows``, ``cpu`` and ``gpu`` of a `Relay`. Reports are a task's.
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Torch reads it when a workload imports torch; workloads without a network never do.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(json.loads(config["task"])["threads"])))
        self._task = _task(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if not self._task.close():
            # Tune removes this process, and the new trial starts in another.
            raise ProcessLostError("the trial before it does not stop")
        self._task = _task(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return self._task.report()

    def cleanup(self) -> None:
        self._task.close(waits=False)


def _task(config: dict[str, Any]) -> Task | Relay:
    if "population" in config:
        return Relay(config["trial_id"], config["task"], json.loads(config["population"]))
    return Task(config["task"], device="cuda" if ray.get_gpu_ids() else "cpu")
