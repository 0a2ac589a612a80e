"""One trial from step 0 to its horizon: resumable, judged on averaged weights, stopped when it diverges."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import asdict
from typing import Any

import numpy as np

from phitune.trainables.spec import Spec
from phitune.trainables.training.config import Diagnostics, TrialConfig, spaced_steps
from phitune.trainables.training.explosion import Explosion
from phitune.trainables.training.requests import Evaluate, Request, Step, serve
from phitune.trainables.workloads.base import Evaluation, Learner, Norms, Split, Workload

# Iterations between checks of the loss where reading it makes the host wait for the device.
_CHECK_EVERY = 50


class Training:
    """A trial in progress.

    The LR is ``base_lr * schedule.u(step, horizon)``, a pure function of the step (and, for a closed-loop schedule,
    of the validation losses it has observed). A trial has diverged when a training loss has exploded (`Explosion`) or
    a validation loss is not finite.

    Args:
        workload: The workload, shared with other trials of the process.
        config: The trial.
        points: About how many points the recorded curve has, evenly spaced over the horizon.
        device: A torch device.
        diagnostics: What else to measure.
        learner: The learner to train; None for a fresh one of the workload's.

    Attributes:
        step: Iterations done.
        trouble: How the trial has diverged; empty if it has not.
        curve: The recorded points, oldest first.
        diagnosed: The measurements of ``diagnostics``, each with its ``step``.
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
        self.trouble = ""
        self.curve: list[dict[str, float]] = []
        self.diagnosed: list[dict[str, float]] = []
        self.learner = learner or workload.learner(Spec.parse(config.optimizer), config.seed, config.horizon, device)
        horizon, schedule = config.horizon, config.schedule
        self._curve_steps = spaced_steps(1, horizon, points)
        self._diagnoses = (diagnostics or Diagnostics()).at(horizon)
        self._check_steps = frozenset(schedule.check_steps(horizon).tolist())
        self._observed: list[float] = []
        self._lrs = self._lrs_of_steps()
        self._momenta = schedule.momentum(np.arange(horizon), horizon)
        self._check_every = 1 if device == "cpu" else _CHECK_EVERY
        self._explosion = Explosion()
        self._losses: list[Any] = []
        self._fetched = 0

    @property
    def diverged(self) -> bool:
        """Whether the trial has diverged."""
        return bool(self.trouble)

    @property
    def done(self) -> bool:
        """Whether the horizon is reached or the trial has diverged."""
        return self.diverged or self.step >= self.config.horizon

    def advance(self, until: int, between: Callable[[], None] | None = None) -> None:
        """Trains up to and including iteration ``until``, at most to the horizon.

        Args:
            between: Called after each iteration but the last; it may take a `state_dict`, but change nothing.
        """
        serve(self.requests(until, between), self.answer)

    def requests(self, until: int, between: Callable[[], None] | None = None) -> Generator[Request, Any, None]:
        """`advance` as a generator of requests that its caller answers, so that many trainings can step together."""
        until = min(until, self.config.horizon)
        if self.step == 0 and until > 0:
            self._diagnose()
        while self.step < until and not self.diverged:
            momentum = None if self._momenta is None else float(self._momenta[self.step])
            self._losses.append((yield Step(float(self._lrs[self.step]), momentum)))
            self.step += 1
            recorded = self.step in self._curve_steps or self.step == until
            if recorded or self.step in self._check_steps or self.step % self._check_every == 0:
                self._fetch_losses()
            if self.diverged:
                return
            if self.step in self._check_steps:
                self._observed.append((yield Evaluate("val", False)).loss)
                self._lrs = self._lrs_of_steps()
            if recorded:
                raw = yield Evaluate("val", False)
                self._record(raw, (yield Evaluate("val", True)))
            self._diagnose()
            if between is not None and self.step < until:
                between()

    def answer(self, request: Request) -> Any:
        """The learner's answer to a request."""
        return self.learner.step(*request) if isinstance(request, Step) else self.learner.evaluate(*request)

    def evaluate(self, split: Split) -> dict[str, float]:
        """``{split}_loss`` and ``{split}_metric`` of the current weights."""
        result = self.learner.evaluate(split)
        return {f"{split}_loss": result.loss, f"{split}_metric": result.metric}

    def _lrs_of_steps(self) -> Any:
        """The LR of every step, [horizon]; of a closed-loop schedule, as its observations so far decide."""
        horizon = self.config.horizon
        return self.config.base_lr * self.config.schedule.u(np.arange(horizon), horizon, self._observed)

    def _fetch_losses(self) -> None:
        """Fetches the losses that are still on the device; the trial has diverged if one exploded."""
        for index in range(self._fetched, len(self._losses)):
            loss = float(self._losses[index])
            self._losses[index] = loss
            step = self.step - (len(self._losses) - 1 - index)
            if self._explosion.exploded(step, loss):
                how = f"exploded to {loss:.3g}" if math.isfinite(loss) else f"is {loss}"
                self.trouble = f"the training loss {how} at iteration {step}"
                self.step = step
                return
        self._fetched = len(self._losses)

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
            self.trouble = f"the validation loss is {raw.loss} at iteration {self.step}"
            return
        self.curve.append(point)
        self._losses.clear()
        self._fetched = 0

    def state_dict(self) -> dict[str, Any]:
        """State from which `load_state_dict` resumes bit for bit."""
        self._fetch_losses()
        return {
            "step": self.step,
            "trouble": self.trouble,
            "curve": list(self.curve),
            "diagnosed": list(self.diagnosed),
            "explosion": asdict(self._explosion),
            "losses": list(self._losses),
            "observed": list(self._observed),
            "learner": self.learner.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state from `state_dict` of a trial of the same configuration."""
        self.step = state["step"]
        self.trouble = state["trouble"]
        self.curve = list(state["curve"])
        self.diagnosed = list(state["diagnosed"])
        self._explosion = Explosion(**state["explosion"])
        self._losses = list(state["losses"])
        self._fetched = len(self._losses)
        self._observed = list(state["observed"])
        self._lrs = self._lrs_of_steps()
        self.learner.load_state_dict(state["learner"])
