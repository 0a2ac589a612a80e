"""The Tune Trainable around `trainables.task`; the only module here that knows Ray."""

from __future__ import annotations

import json
import os
from typing import Any

import ray
from ray import tune

from trainables.task import Task


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after another in a warm process.

    The configuration holds ``trial_id``, ``cell``, ``family`` and ``task``, the text of a `Task`; reports are a task's,
    and whether they are the last (``done``).
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Read by torch when a workload imports it, which those without a network do not.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(json.loads(config["task"])["threads"])))
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return self._task.report()

    def _begin(self, config: dict[str, Any]) -> None:
        self._task = Task(config["task"], device="cuda" if ray.get_gpu_ids() else "cpu")
