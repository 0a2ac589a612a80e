"""What a function workload gets: the trial that it trains."""

from __future__ import annotations

import math
import operator
import re
import reprlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.training.function.generators import generator_states, restore_generators
from phitune.trainables.training.function.link import Link, Plan
from phitune.trainables.training.function.packing import unpacked

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

# What MLflow allows.
_METRIC = re.compile(r"[\w.\- /]+")


class Trial:
    """The trial that a function workload trains: its schedule, base LR, seed and budget, and where it reports.

    A loop that uses it::

        def train(trial: phitune.Trial, width: int = 64) -> None:
            model, optimizer, batches = ...
            scheduler = trial.lr_scheduler(optimizer)
            for step in range(trial.start, trial.budget):
                ...
                optimizer.step()
                scheduler.step()
                if trial.due(step + 1) and not trial.report(step + 1, val_loss=...):
                    return

    Steps are counted in iterations, that is updates of the weights, from 0 to ``budget``. The generators of ``random``,
    NumPy and torch are seeded with ``seed`` before the function is called.

    Args:
        plan: The trial as data.
        link: What is behind it.
        restored: Whether another process has restored its state.

    Attributes:
        budget: Iterations T, at which the schedule ends.
        start: Iterations done before; not 0 after a resume of a trial that has called `save`.
        seed: Decides initial weights and batch order.
        device: A torch device, ``cpu`` or ``cuda``.
        schedule: The schedule without base LR (`phitune.schedule`).
        base_lr: LR at the schedule's peak.
    """

    def __init__(self, plan: Plan, link: Link, restored: bool = False) -> None:
        self.budget = plan.budget
        self.start = plan.start
        self.seed = plan.seed
        self.device = plan.device
        self.schedule = plan.schedule
        self.base_lr = plan.base_lr
        self._plan = plan
        self._link = link
        self._due = plan.due()
        self._checks = plan.checks()
        self._observed = list(plan.observed)
        self._done = self._reported = plan.start
        self._restored = restored or plan.start == 0
        self._scheduler: Callable[[], LRScheduler | None] = lambda: None

    @property
    def directory(self) -> Path:
        """Folder for the trial's own files; it is made when it is first asked for.

        The study keeps it, and logs it to MLflow where the workload's entry says so (``artifacts``).
        """
        self._plan.directory.mkdir(parents=True, exist_ok=True)
        return self._plan.directory

    def lr(self, step: int) -> float:
        """The LR of an iteration: ``base_lr * schedule.u(step, budget)``; the first iteration is 0."""
        self._link.check()
        return self.base_lr * float(self.schedule.u(step, self.budget, self._observed))

    def lr_scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """A torch scheduler of this trial's schedule and base LR; call its ``step()`` after every ``optimizer.step()``.

        The parameter group with the largest LR gets the base LR, and the others keep their ratio to it. After a resume
        it starts at ``start``.

        Raises:
            InputError: The optimizer's LRs are zero, or the family cycles momentum and the optimizer has none.
        """
        from phitune.trainables.schedules._torch import ProfileLR, set_base_lr

        self._link.check()
        set_base_lr(optimizer, self.base_lr)
        schedule = _Observed(self) if self._checks else self.schedule
        scheduler = ProfileLR(optimizer, schedule, self.budget, last_epoch=self.start - 1)
        self._scheduler = weakref.ref(scheduler)
        return scheduler

    def due(self, step: int) -> bool:
        """Whether to report after ``step`` iterations; about ten times in a trial, and always at its end."""
        self._link.check()
        self._done = _whole("due", step)
        return self._done in self._due

    def report(self, step: int, **metrics: SupportsFloat) -> bool:
        """Reports the trial after ``step`` iterations; returns whether to go on, or else the function should return.

        Args:
            step: Iterations done; one that is `due`, or any at which the objective is not finite.
            metrics: Numbers, or scalar tensors. ``val_loss`` or ``val_metric``, whichever is the objective, must be
                there. ``ema_val_loss``, of averaged weights, is what early stopping judges where it is there. All
                others are kept as they are; ``test_loss`` and ``test_metric`` count at the end of a replicate.

        Raises:
            InputError: The step is not due, is beyond the budget, or comes after one that was due and not reported;
                the objective is missing; a metric is not a number.
        """
        self._link.check()
        self._done = _whole("report", step)
        point = {"step": step, "lr": self._lr_before(step), **{key: _number(key, v) for key, v in metrics.items()}}
        objective = self._plan.objective
        self._require_restored()
        if not 1 <= step <= self.budget:
            raise InputError(f"report.step: {step} is not allowed; the budget is {self.budget} iterations")
        if objective not in point and self._link.leads:
            raise InputError(f"report.{objective}: missing at iteration {step}; it is the objective of the study")
        if not all(math.isfinite(point.get(key, 0.0)) for key in (objective, "val_loss")):
            return self._link.report(step, None)
        self._require_due(step)
        self._reported = step
        if step in self._checks:
            self._observe(step, point)
        return self._link.report(step, point)

    def save(self, state: Any, step: int | None = None) -> None:
        """Saves a state from which an interrupted trial goes on, if the last save is long enough ago.

        Call it after `due` and `report` of an iteration, as often as you like. The states of the generators of
        ``random``, NumPy and torch are saved with it.

        Args:
            state: Anything that torch or pickle can save, such as a dict of ``state_dict()``.
            step: Iterations done; by default as `due` or `report` was last told.

        Raises:
            InputError: The step is not what `lr_scheduler` has done, or is due and not reported.
        """
        self._link.check()
        self._require_restored()
        done = self._done if step is None else _whole("save", step)
        scheduler = self._scheduler()
        if scheduler is not None and scheduler.last_epoch != done:
            raise InputError(
                f"save: {done} iterations are done by `due`, and {scheduler.last_epoch} by the scheduler; call save "
                "after due and report, or give it `step`"
            )
        if (missing := self._next_due()) <= done:
            raise InputError(f"save: iteration {missing} is due and not reported yet; call save after report")
        self._link.save(done, lambda: {"state": state, "generators": generator_states()})

    def restore(self) -> Any:
        """The state that was last saved, or None in a trial that starts at 0.

        The generators of ``random``, NumPy and torch get their saved states too, so call it last before the loop, once
        in each process that trains. Tensors are on the CPU.

        Raises:
            InputError: It was called before.
        """
        self._link.check()
        self._restored = True
        if self.start == 0:
            return None
        saved = self._link.restore()
        saved = unpacked(saved) if isinstance(saved, bytes) else saved
        if saved is None:
            raise InputError("restore: it was called before, and the state is not kept after that")
        restore_generators(saved["generators"])
        return saved["state"]

    @property
    def reported(self) -> int:
        """The last iteration that was reported, or `start`."""
        return self._reported

    def _lr_before(self, step: int) -> float:
        """The LR of the iteration that ``step`` iterations end with."""
        return self.base_lr * float(self.schedule.u(max(step - 1, 0), self.budget, self._observed))

    def _next_due(self) -> int:
        return min((step for step in self._due if step > self._reported), default=self.budget + 1)

    def _require_due(self, step: int) -> None:
        following = self._next_due()
        if step == following:
            return
        if step not in self._due:
            raise InputError(
                f"report.step: {step} is not due; ask trial.due(step), which is true at {_list(self._due)}"
            )
        if step <= self._reported:
            raise InputError(f"report.step: {step} is not allowed; {self._reported} was reported before")
        raise InputError(f"report.step: {step} is not allowed; {following} was due before it and not reported")

    def _require_restored(self) -> None:
        if not self._restored:
            raise InputError(
                f"trial.start: the trial goes on at iteration {self.start}, but its state was not restored; "
                "call trial.restore() before the loop"
            )

    def _observe(self, step: int, point: Mapping[str, float]) -> None:
        """Takes in the validation loss for a closed-loop schedule."""
        if "val_loss" not in point:
            raise InputError(f"report.val_loss: missing at iteration {step}; {self.schedule.family} needs it")
        self._observed.append(point["val_loss"])
        scheduler = self._scheduler()
        if scheduler is not None:
            # It has already set the LR of the next iteration.
            scheduler.load_state_dict(scheduler.state_dict())


class _Observed:
    """A closed-loop schedule with what a trial has observed, as the torch scheduler sees it."""

    family: ClassVar[str] = "closed-loop schedule"

    def __init__(self, trial: Trial) -> None:
        self._schedule = trial.schedule
        self._observed = trial._observed

    def u(self, step: ArrayLike, horizon: int) -> NDArray[np.float64]:
        return self._schedule.u(step, horizon, self._observed)

    def momentum(self, step: ArrayLike, horizon: int) -> NDArray[np.float64] | None:
        return self._schedule.momentum(step, horizon)


def _whole(method: str, step: Any) -> int:
    try:
        return operator.index(step)
    except TypeError:
        raise InputError(f"{method}.step: {step!r} is not allowed; it must be a whole number of iterations") from None


def _number(key: str, value: Any) -> float:
    if not _METRIC.fullmatch(key):
        raise InputError(f"report.{key}: not allowed; a metric's name has letters, digits, spaces and . _ - / only")
    try:
        return float(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        kind = f"{type(value).__name__} {reprlib.repr(value)}"
        raise InputError(f"report.{key}: {kind} is not allowed; it must be a number") from None


def _list(steps: frozenset[int], most: int = 12) -> str:
    shown = sorted(steps)
    return ", ".join(map(str, shown[:most])) + (" …" if len(shown) > most else "")
