"""The Tune Trainable around a `Task`."""

from __future__ import annotations

import json
import os
from typing import Any

import ray
from ray import tune

from phitune.trainables.errors import ProcessLostError
from phitune.trainables.training.function.nodes import Nodes
from phitune.trainables.training.task import Task
from phitune.trainables.trial.other_node import nodes_of_trial
from phitune.trainables.trial.relay import Relay

# Ray Train makes the callbacks that this variable names before it asks for workers.
_NO_RAY_TRAIN = "RAY_TRAIN_CALLBACKS", "phitune.trainables.trial.ray_train.Refusal"


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after another in a warm process.

    The configuration holds ``trial_id``, ``cell``, ``family`` and ``task``, the text of a `Task`, and for a trial of a
    population also ``population``: JSON with the ``rows``, ``cpu`` and ``gpu`` of a `Relay`. One on several nodes has
    their number, ``nodes``, and ``bundle``: JSON with what it has on each, under Ray's names. Reports are a task's.
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Torch reads it when a workload imports torch; workloads without a network never do.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(json.loads(config["task"])["threads"])))
        os.environ.setdefault(*_NO_RAY_TRAIN)
        self._nodes = nodes_of_trial(json.loads(config.get("bundle", "{}")), config.get("nodes", 1))
        self._task = _task(config, self._nodes)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if not self._task.close():
            # Tune removes this process, and the new trial starts in another.
            raise ProcessLostError("the trial before it does not stop")
        self._task = _task(new_config, self._nodes)
        return True

    def step(self) -> dict[str, Any]:
        return self._task.report()

    def cleanup(self) -> None:
        self._task.close(waits=False)


def _task(config: dict[str, Any], nodes: Nodes) -> Task | Relay:
    if "population" in config:
        return Relay(config["trial_id"], config["task"], json.loads(config["population"]))
    return Task(config["task"], device="cuda" if ray.get_gpu_ids() else "cpu", nodes=nodes)
