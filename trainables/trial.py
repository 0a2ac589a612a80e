"""The Tune Trainable around `trainables.training`; the only module here that knows Ray."""

from __future__ import annotations

import json
import os
import time
import traceback
from typing import Any

import ray
from ray import tune

from trainables.schedules import from_dict
from trainables.spec import Spec
from trainables.training import Diagnostics, Training, TrialConfig
from trainables.workloads import workload

_FINAL = ("val_loss", "val_metric", "ema_val_loss", "ema_val_metric")


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after another in a warm process; reports at its rungs and at the end.

    The configuration holds ``trial_id``, ``cell``, ``family`` and ``task``: JSON with the keys ``workload optimizer
    budget schedule base_lr seed objective rungs test diagnostics threads``; ``rungs`` are the iterations at which to
    report besides the last, ``test`` whether to touch the test split at the end, ``diagnostics`` the fields of
    `Diagnostics`.

    A report holds ``rung`` (its number from 1, 0 at the end), ``judged`` (the objective on averaged weights) and
    ``account``: JSON with ``status`` (running, completed, diverged, failed), ``steps`` (iterations done; the horizon
    is never changed), ``rungs`` (iteration and judged value of each so far), ``curve``, ``diagnosed``, ``final``,
    ``started``, ``seconds``, ``reason`` and ``traceback``.

    Task and account are text because Tune copies, flattens and saves every mapping it is given, key by key.
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Read by torch when a workload imports it, which those without a network do not.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(json.loads(config["task"])["threads"])))
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._trial = json.loads(config["task"])
        self._started = time.time()
        self._training: Training | None = None
        self._rungs: list[tuple[int, float]] = []

    def step(self) -> dict[str, Any]:
        try:
            return self._train_to_next_report()
        except Exception as error:
            # Told as a result, not raised: the process stays warm and the study goes on.
            reason = f"{type(error).__name__}: {error}"
            return self._report("failed", reason=reason, traceback=traceback.format_exc())

    def _train_to_next_report(self) -> dict[str, Any]:
        config = self._trial
        if self._training is None:
            trial = TrialConfig(
                optimizer=config["optimizer"],
                horizon=config["budget"],
                schedule=from_dict(config["schedule"]),
                base_lr=config["base_lr"],
                seed=config["seed"],
            )
            device = "cuda" if ray.get_gpu_ids() else "cpu"
            self._training = Training(
                workload(Spec.of(config["workload"])),
                trial,
                device=device,
                diagnostics=Diagnostics(**config["diagnostics"]),
            )
        training = self._training
        number = sum(rung <= training.step for rung in config["rungs"]) + 1
        last = number > len(config["rungs"])
        training.advance(config["budget"] if last else config["rungs"][number - 1])
        if training.diverged:
            return self._report("diverged", reason=f"loss exploded or became NaN by iteration {training.step}")
        if last:
            extra = training.evaluate("test") if config["test"] else {}
            return self._report("completed", extra=extra)
        judged = training.curve[-1][f"ema_{config['objective']}"]
        self._rungs.append((training.step, judged))
        return {**self._report("running"), "rung": number, "judged": judged}

    def _report(
        self, status: str, reason: str = "", traceback: str = "", extra: dict[str, float] | None = None
    ) -> dict[str, Any]:
        training = self._training
        curve = training.curve if training else []
        final = {key: curve[-1][key] for key in _FINAL if curve}
        if final:
            final["objective"] = final[self._trial["objective"]]
        account = {
            "status": status,
            "reason": reason,
            "traceback": traceback,
            "steps": training.step if training else 0,
            "rungs": self._rungs,
            "curve": curve,
            "diagnosed": training.diagnosed if training else [],
            "final": {**final, **(extra or {})},
            "started": self._started,
            "seconds": time.time() - self._started,
        }
        return {"done": status != "running", "rung": 0, "judged": None, "account": json.dumps(account)}
