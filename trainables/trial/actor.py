"""The Tune Trainable around `trial.task`; it and `trial.relay` are the only modules of `trainables` that know Ray."""

from __future__ import annotations

import json
import os
from typing import Any

import ray
from ray import tune

from phitune.trainables.trial.relay import Relay
from phitune.trainables.trial.task import Task


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after another in a warm process.

    The configuration holds ``trial_id``, ``cell``, ``family`` and ``task``, the text of a `Task`; ``population``, if it
    is there, is JSON with the ``rows`` and ``cpu`` of a `Relay`. Reports are a task's.
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Read by torch when a workload imports it, which those without a network do not.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(json.loads(config["task"])["threads"])))
        self._task = _begun(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._task = _begun(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return self._task.report()

    def cleanup(self) -> None:
        if isinstance(self._task, Relay):
            self._task.close()


def _begun(config: dict[str, Any]) -> Task | Relay:
    if "population" in config:
        return Relay(config["trial_id"], config["task"], json.loads(config["population"]))
    return Task(config["task"], device="cuda" if ray.get_gpu_ids() else "cpu")
