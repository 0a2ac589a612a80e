"""One trial from step 0 to its horizon: resumable, judged on averaged weights, stopped when it diverges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.schedules import Schedule
from trainables.workloads.base import Norms, Split, Workload

_EXPLOSION = 1e3


@dataclass(frozen=True)
class TrialConfig:
    """What one trial trains.

    Attributes:
        optimizer: Optimizer name.
        horizon: Iterations after which the schedule ends; never changed by early stopping.
        schedule: The LR schedule, without base LR.
        base_lr: LR at the schedule's peak.
        seed: Decides initial weights and batch order.
    """

    optimizer: str
    horizon: int
    schedule: Schedule
    base_lr: float
    seed: int


class Training:
    """A trial in progress.

    The LR is ``base_lr * schedule.u(step, horizon)``, a pure function of the step. A trial has diverged
    when a training loss is not finite or exceeds a thousand times the first one.

    Args:
        workload: The workload, shared with other trials of the process.
        config: The trial.
        points: About how many points the recorded curve has, evenly spaced over the horizon.
        device: A torch device.
    """

    def __init__(self, workload: Workload, config: TrialConfig, points: int = 8, device: str = "cpu") -> None:
        self.config = config
        self.step = 0
        self.diverged = False
        self.curve: list[dict[str, float]] = []
        self._learner = workload.learner(config.optimizer, config.seed, config.horizon, device)
        self._lrs = config.base_lr * config.schedule.u(np.arange(config.horizon), config.horizon)
        marks = np.linspace(0, config.horizon, min(points, config.horizon) + 1)[1:]
        self._marks = frozenset(int(mark) for mark in np.rint(marks))
        self._first_loss: float | None = None
        self._losses: list[float] = []

    @property
    def done(self) -> bool:
        """Whether the horizon is reached or the trial has diverged."""
        return self.diverged or self.step >= self.config.horizon

    def advance(self, until: int) -> None:
        """Trains up to and including iteration ``until``, at most to the horizon."""
        until = min(until, self.config.horizon)
        while self.step < until and not self.diverged:
            loss = self._learner.step(float(self._lrs[self.step]))
            self.step += 1
            self._first_loss = loss if self._first_loss is None else self._first_loss
            self._losses.append(loss)
            if not math.isfinite(loss) or loss > _EXPLOSION * abs(self._first_loss):
                self.diverged = True
            elif self.step in self._marks or self.step == until:
                self._record()

    def evaluate(self, split: Split) -> dict[str, float]:
        """``{split}_loss`` and ``{split}_metric`` of the weights as they are."""
        result = self._learner.evaluate(split)
        return {f"{split}_loss": result.loss, f"{split}_metric": result.metric}

    def _record(self) -> None:
        raw = self._learner.evaluate("val")
        average = self._learner.evaluate("val", averaged=True)
        norms: Norms = self._learner.norms()
        point = {
            "step": self.step,
            "lr": float(self._lrs[self.step - 1]),
            "train_loss": float(np.mean(self._losses)),
            "val_loss": raw.loss,
            "val_metric": raw.metric,
            "ema_val_loss": average.loss,
            "ema_val_metric": average.metric,
            "grad_norm": norms.grad,
            "weight_norm": norms.weight,
        }
        if not math.isfinite(raw.loss):
            self.diverged = True
            return
        self.curve.append(point)
        self._losses.clear()

    def state_dict(self) -> dict[str, Any]:
        """Everything `load_state_dict` needs to go on bit for bit."""
        return {
            "step": self.step,
            "diverged": self.diverged,
            "curve": list(self.curve),
            "first_loss": self._first_loss,
            "losses": list(self._losses),
            "learner": self._learner.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, of a trial of the same configuration."""
        self.step = state["step"]
        self.diverged = state["diverged"]
        self.curve = list(state["curve"])
        self._first_loss = state["first_loss"]
        self._losses = list(state["losses"])
        self._learner.load_state_dict(state["learner"])
