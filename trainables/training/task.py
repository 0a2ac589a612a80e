"""A trial as a search runs it: trained from report to report, resumed from its checkpoint, failures reported."""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from phitune.trainables.errors import ProcessLostError, out_of_memory
from phitune.trainables.schedules import from_dict
from phitune.trainables.spec import Spec
from phitune.trainables.training.checkpoint import Checkpoint
from phitune.trainables.training.config import Diagnostics, TrialConfig
from phitune.trainables.training.function import FunctionTraining
from phitune.trainables.training.function.link import Plan
from phitune.trainables.training.function.nodes import Nodes
from phitune.trainables.training.requests import Request, serve
from phitune.trainables.training.training import Training
from phitune.trainables.user_class import place_in_users_code
from phitune.trainables.workloads import Learner, Workload, workload
from phitune.trainables.workloads.function import function, is_function

# Of the last point of the curve, what is no final figure.
_ON_THE_WAY = ("step", "lr", "train_loss", "grad_norm", "weight_norm")
# Errors of the system that would come again.
_LASTING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)

# Seconds for a user's function to return where the process ends anyway.
_AT_END = 5.0

NewLearner = Callable[[Workload, TrialConfig], Learner]
"""Builds the learner of a trial."""


class Task:
    """Trains one configuration, and reports at its rungs and at the end.

    Its text is JSON with the keys ``workload optimizer budget schedule base_lr seed objective rungs test diagnostics
    threads``. ``rungs`` are the iterations at which to report besides the last, ``test`` whether to touch the test
    split at the end, ``diagnostics`` the fields of `Diagnostics`. It may have ``checkpoint``, the ``path`` of the file
    and the ``seconds`` between two saves. A function's has ``directory``, the folder for its own files, and
    ``patience``, the seconds it may take to return once it is told to stop.

    A report holds ``rung`` (its number from 1, 0 at the end), ``judged`` (the objective on averaged weights) and
    ``account``: JSON with ``status`` (running, completed, diverged, failed), ``steps`` (iterations done; the horizon
    is never changed), ``rungs`` (iteration and judged value of each so far), ``curve``, ``diagnosed``, ``final``,
    ``started``, ``seconds``, ``reason`` and ``traceback``.

    An error is reported with the status ``failed``, except those that a fresh process may not meet (`may_pass`), which
    are raised.

    Task and account are text because Tune copies, flattens and saves every mapping key by key.

    Args:
        text: The task.
        device: A torch device.
        new_learner: Builds the learner; None for the workload's own.
        nodes: Where a function's `spawn` starts processes; by default here.
    """

    def __init__(
        self, text: str, device: str = "cpu", new_learner: NewLearner | None = None, nodes: Nodes | None = None
    ) -> None:
        trial = json.loads(text)
        checkpoint = trial.pop("checkpoint", None)
        self._directory = Path(trial.pop("directory", ""))
        self._patience = float(trial.pop("patience", 0.0))
        self._trial: Mapping[str, Any] = trial
        self._device = device
        self._new_learner = new_learner
        self._nodes = nodes
        self._started = self._resumed = time.time()
        self._spent = 0.0
        self._training: Training | FunctionTraining | None = None
        self._rungs: list[tuple[int, float]] = []
        self._checkpoint = Checkpoint(Path(checkpoint["path"]), checkpoint["seconds"], trial) if checkpoint else None

    def report(self) -> dict[str, Any]:
        """Trains to the next report and returns it."""
        return serve(self.requests(), self._answer)

    def requests(self) -> Generator[Request, Any, dict[str, Any]]:
        """`report` as a generator of requests that its caller answers, so that many tasks can step together."""
        try:
            return (yield from self._requests_to_next_report())
        except Exception as error:
            if may_pass(error):
                raise
            # Reported, not raised: the process stays warm and the study goes on.
            at = place_in_users_code(error)
            reason = f"{type(error).__name__}: {error}" + (f" ({at})" if at else "")
            return self._report("failed", reason=reason, traceback=traceback.format_exc())

    def close(self, waits: bool = True) -> bool:
        """Ends the trial, if it is in progress; returns whether it has ended.

        Args:
            waits: Whether to be patient with a user's function that is busy.
        """
        if isinstance(self._training, FunctionTraining):
            return self._training.close(self._patience if waits else min(self._patience, _AT_END))
        return True

    def _requests_to_next_report(self) -> Generator[Request, Any, dict[str, Any]]:
        config = self._trial
        if self._training is None:
            self._training = self._start()
        training = self._training
        number = sum(rung <= training.step for rung in config["rungs"]) + 1
        last = number > len(config["rungs"])
        yield from training.requests(config["budget"] if last else config["rungs"][number - 1], self._save_if_due)
        if training.diverged:
            return self._report("diverged", reason=training.trouble)
        if last:
            extra = training.evaluate("test") if config["test"] else {}
            objective = training.curve[-1][config["objective"]]
            if not math.isfinite(objective):
                return self._report("diverged", reason=f"{config['objective']} is {objective}", extra=extra)
            return self._report("completed", extra=extra)
        point = training.curve[-1]
        judged = point.get(f"ema_{config['objective']}", point[config["objective"]])
        self._rungs.append((training.step, judged))
        return {**self._report("running"), "rung": number, "judged": judged}

    def _start(self) -> Training | FunctionTraining:
        """The training as last saved, or at its first step."""
        saved = self._checkpoint.load() if self._checkpoint else None
        if saved is not None:
            try:
                training = self._fresh()
                training.load_state_dict(saved["training"])
            except Exception:
                # A user's learner may have changed since. From its first step the trial is exact too.
                pass
            else:
                self._rungs = [(step, value) for step, value in saved["rungs"]]
                self._started, self._spent = saved["started"], saved["seconds"]
                return training
        return self._fresh()

    def _fresh(self) -> Training | FunctionTraining:
        config = self._trial
        spec, schedule = Spec.of(config["workload"]), from_dict(config["schedule"])
        if is_function(spec.name):
            plan = Plan(
                budget=config["budget"],
                seed=config["seed"],
                device=self._device,
                schedule=schedule,
                base_lr=config["base_lr"],
                objective=config["objective"],
                rungs=tuple(config["rungs"]),
                directory=self._directory,
                patience=self._patience,
            )
            return FunctionTraining(function(spec), plan, self._nodes)
        trial = TrialConfig(
            optimizer=config["optimizer"],
            horizon=config["budget"],
            schedule=schedule,
            base_lr=config["base_lr"],
            seed=config["seed"],
        )
        shared = workload(spec)
        return Training(
            shared,
            trial,
            device=self._device,
            diagnostics=Diagnostics(**config["diagnostics"]),
            learner=self._new_learner(shared, trial) if self._new_learner else None,
        )

    def _answer(self, request: Request) -> Any:
        assert isinstance(self._training, Training), "requests come from the training of a learner"
        return self._training.answer(request)

    def _save_if_due(self) -> None:
        """Saves the trial if its checkpoint is due and, where it has rungs, it has passed one."""
        if self._checkpoint is None or not self._checkpoint.due or (self._trial["rungs"] and not self._rungs):
            return
        assert self._training is not None
        began = time.monotonic()
        try:
            training = self._training.state_dict()
        except Exception:
            # A user's learner that cannot be saved can still be trained.
            self._checkpoint = None
            return
        state = {"training": training, "rungs": self._rungs, "started": self._started, "seconds": self._seconds()}
        self._checkpoint.save(state, began)

    def _seconds(self) -> float:
        """Wall time of training in this process and in those before it."""
        return self._spent + time.time() - self._resumed

    def _report(
        self, status: str, reason: str = "", traceback: str = "", extra: dict[str, float] | None = None
    ) -> dict[str, Any]:
        training = self._training
        curve = training.curve if training else []
        final = {key: value for key, value in curve[-1].items() if key not in _ON_THE_WAY} if curve else {}
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
            "seconds": self._seconds(),
        }
        return {"done": status != "running", "rung": 0, "judged": None, "account": json.dumps(account)}


def may_pass(error: Exception) -> bool:
    """Whether a trial that met this error may do well in a fresh process: memory, files, nodes, not arithmetic."""
    storage = isinstance(error, OSError) and not isinstance(error, _LASTING)
    return out_of_memory(error) or storage or spoils_process(error) or isinstance(error, ProcessLostError)


def spoils_process(error: BaseException) -> bool:
    """Whether no trial can be trained in the process after this error, because its GPU repeats it on every call."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.AcceleratorError)
