"""One trial from step 0 to its horizon: resumable, judged on averaged weights, stopped when it diverges."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from phitune.trainables.schedules import Schedule
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Diagnosis, Evaluation, Learner, Norms, Split, Workload

_EXPLOSION = 1e3
# Iterations between looks at the loss where looking makes the host wait for the device.
_LOOK_EVERY = 50


@dataclass(frozen=True)
class Diagnostics:
    """What is measured on the whole training set in the course of a trial; nothing by default.

    Attributes:
        gradient_points: Number of points, evenly spaced from the first to the last iteration, at which the norm of
            the full gradient is measured; 0 for none.
        hessian: Whether the Hessian's extreme eigenvalues are measured at start, middle and end.
        examples: Training examples used; None takes all.
    """

    gradient_points: int = 0
    hessian: bool = False
    examples: int | None = None

    def at(self, horizon: int) -> dict[int, Diagnosis]:
        """What to measure after how many iterations."""
        gradient = _marks(0, horizon, self.gradient_points) if self.gradient_points else frozenset()
        hessian = _marks(0, horizon, 3) if self.hessian else frozenset()
        return {
            step: Diagnosis(step in gradient, step in hessian, self.examples) for step in sorted(gradient | hessian)
        }


@dataclass(frozen=True)
class TrialConfig:
    """What one trial trains.

    Attributes:
        optimizer: Optimizer name, with or without options.
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


class Step(NamedTuple):
    """A training asks for one iteration; the answer is its loss, a number or what `float` makes one."""

    lr: float
    momentum: float | None


class Evaluate(NamedTuple):
    """A training asks for an `Evaluation`."""

    split: Split
    averaged: bool


Ask: TypeAlias = Step | Evaluate
_Result = TypeVar("_Result")


def alone(asks: Generator[Ask, Any, _Result], answer: Callable[[Ask], Any]) -> _Result:
    """Answers what one training asks for; returns what the training returns in the end.

    Where there is no answer, the training learns of the error.
    """
    try:
        ask = next(asks)
        while True:
            try:
                given = answer(ask)
            except Exception as error:
                ask = asks.throw(error)
            else:
                ask = asks.send(given)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class Training:
    """A trial in progress.

    The LR is ``base_lr * schedule.u(step, horizon)``, a pure function of the step (and, for a closed-loop schedule,
    of the validation losses it has observed). A trial has diverged when a training loss is not finite or exceeds a
    thousand times the first one.

    Args:
        workload: The workload, shared with other trials of the process.
        config: The trial.
        points: About how many points the recorded curve has, evenly spaced over the horizon.
        device: A torch device.
        diagnostics: What else to measure, into `diagnosed`.
        learner: What to train; None for a fresh one of the workload's.
    """

    def __init__(
        self,
        workload: Workload,
        config: TrialConfig,
        points: int = 8,
        device: str = "cpu",
        diagnostics: Diagnostics | None = None,
        learner: Learner | None = None,
    ) -> None:
        self.config = config
        self.step = 0
        self.diverged = False
        self.curve: list[dict[str, float]] = []
        self.diagnosed: list[dict[str, float]] = []
        self.learner = learner or workload.learner(Spec.parse(config.optimizer), config.seed, config.horizon, device)
        horizon, schedule = config.horizon, config.schedule
        self._marks = _marks(1, horizon, points)
        self._diagnoses = (diagnostics or Diagnostics()).at(horizon)
        self._checks = frozenset(schedule.check_steps(horizon).tolist())
        self._observed: list[float] = []
        self._lrs = self._planned()
        self._momenta = schedule.momentum(np.arange(horizon), horizon)
        self._look_every = 1 if device == "cpu" else _LOOK_EVERY
        self._first_loss: float | None = None
        self._losses: list[Any] = []
        self._looked = 0

    @property
    def done(self) -> bool:
        """Whether the horizon is reached or the trial has diverged."""
        return self.diverged or self.step >= self.config.horizon

    def advance(self, until: int, between: Callable[[], None] | None = None) -> None:
        """Trains up to and including iteration ``until``, at most to the horizon.

        Args:
            between: Called after each iteration but the last; it may take a `state_dict`, but change nothing.
        """
        alone(self.asks(until, between), self.answer)

    def asks(self, until: int, between: Callable[[], None] | None = None) -> Generator[Ask, Any, None]:
        """`advance`, in which somebody else sees to what is asked for: for many trainings at once."""
        until = min(until, self.config.horizon)
        if self.step == 0 and until > 0:
            self._diagnose()
        while self.step < until and not self.diverged:
            momentum = None if self._momenta is None else float(self._momenta[self.step])
            self._losses.append((yield Step(float(self._lrs[self.step]), momentum)))
            self.step += 1
            recorded = self.step in self._marks or self.step == until
            if recorded or self.step in self._checks or self.step % self._look_every == 0:
                self._look()
            if self.diverged:
                return
            if self.step in self._checks:
                self._observed.append((yield Evaluate("val", False)).loss)
                self._lrs = self._planned()
            if recorded:
                raw = yield Evaluate("val", False)
                self._record(raw, (yield Evaluate("val", True)))
            self._diagnose()
            if between is not None and self.step < until:
                between()

    def answer(self, ask: Ask) -> Any:
        """Has the learner do what is asked for."""
        return self.learner.step(*ask) if isinstance(ask, Step) else self.learner.evaluate(*ask)

    def evaluate(self, split: Split) -> dict[str, float]:
        """``{split}_loss`` and ``{split}_metric`` of the weights as they are."""
        result = self.learner.evaluate(split)
        return {f"{split}_loss": result.loss, f"{split}_metric": result.metric}

    def _planned(self) -> Any:
        """The LR of every step, as far as it is known yet, [horizon]."""
        horizon = self.config.horizon
        return self.config.base_lr * self.config.schedule.u(np.arange(horizon), horizon, self._observed)

    def _look(self) -> None:
        """Fetches the losses that are still on the device; notes whether one exploded."""
        for index in range(self._looked, len(self._losses)):
            loss = float(self._losses[index])
            self._losses[index] = loss
            self._first_loss = loss if self._first_loss is None else self._first_loss
            if not math.isfinite(loss) or loss > _EXPLOSION * abs(self._first_loss):
                self.diverged = True
                self.step -= len(self._losses) - 1 - index
                return
        self._looked = len(self._losses)

    def _diagnose(self) -> None:
        if self.step in self._diagnoses and not self.diverged:
            self.diagnosed.append({"step": self.step, **self.learner.diagnose(self._diagnoses[self.step])})

    def _record(self, raw: Evaluation, average: Evaluation) -> None:
        norms: Norms = self.learner.norms()
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
        self._looked = 0

    def state_dict(self) -> dict[str, Any]:
        """Everything `load_state_dict` needs to go on bit for bit."""
        self._look()
        return {
            "step": self.step,
            "diverged": self.diverged,
            "curve": list(self.curve),
            "diagnosed": list(self.diagnosed),
            "first_loss": self._first_loss,
            "losses": list(self._losses),
            "observed": list(self._observed),
            "learner": self.learner.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, of a trial of the same configuration."""
        self.step = state["step"]
        self.diverged = state["diverged"]
        self.curve = list(state["curve"])
        self.diagnosed = list(state["diagnosed"])
        self._first_loss = state["first_loss"]
        self._losses = list(state["losses"])
        self._looked = len(self._losses)
        self._observed = list(state["observed"])
        self._lrs = self._planned()
        self.learner.load_state_dict(state["learner"])


def _marks(first: int, horizon: int, points: int) -> frozenset[int]:
    """About so many iterations, evenly spaced: from ``first`` (0) to the horizon, or its ``points``-th parts."""
    spaced = np.linspace(0, horizon, min(points, horizon) + (1 if first else 0))
    return frozenset(int(mark) for mark in np.rint(spaced) if mark >= first)
