"""Callbacks for the ``Trainer`` of Hugging Face's transformers: a schedule, and a trial of a study.

As in::

    trainer = Trainer(model, args, callbacks=[ScheduleCallback(schedule("uba", phi=2.0))])

Steps are optimizer steps, of which the Trainer makes ``max_steps``: however many batches it accumulates and on however
many devices.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from phitune.integrations._trials import WhenSaved, report, require_budget, require_start
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule
from phitune.trainables.schedules._torch import set_base_lr, set_lr, set_momentum
from phitune.trainables.training.function import Trial

__all__ = ["ScheduleCallback", "TrialCallback"]


class ScheduleCallback(TrainerCallback):  # type: ignore[misc]
    """Trains with a schedule whose horizon is the run's number of optimizer steps.

    It takes the place of the Trainer's own schedule (``lr_scheduler_type``), warmup included, in the Trainer's own
    scheduler; so logs and checkpoints have its LRs, and a Trainer that resumes goes on where it was. Parameter groups
    keep the ratio of their LRs.

    Args:
        schedule: The schedule (`phitune.schedule`).
        base_lr: LR at its peak; by default ``learning_rate`` of the Trainer's arguments.
        extend: Whether a run may resume from a checkpoint of a run with another number of steps.

    Raises:
        InputError: When training begins: the Trainer has a scheduler of another kind, the checkpoint is of another
            horizon, or the family cycles momentum and the optimizer has none.
    """

    def __init__(self, schedule: Schedule, base_lr: float | None = None, extend: bool = False) -> None:
        self.schedule = schedule
        self.base_lr = base_lr
        self.extend = extend
        self._require_open_loop()

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        if not isinstance(lr_scheduler, LambdaLR):
            raise InputError(
                f"lr_scheduler_type: the Trainer has a {type(lr_scheduler).__name__}, which cannot follow another "
                "schedule; leave it at its default, and give the Trainer no scheduler in optimizers"
            )
        # A checkpoint's scheduler has loaded what it knows into the functions that are there now.
        saved = getattr(lr_scheduler.lr_lambdas[0], "horizon", state.max_steps)
        if saved != state.max_steps and not self.extend:
            raise InputError(
                f"horizon: the checkpoint is from a run of {saved} steps, this one has {state.max_steps}; the LR would "
                f"jump. Use max_steps={saved}, or extend=True to go on at step {state.global_step} of {state.max_steps}"
            )
        if self.base_lr is not None:
            set_base_lr(lr_scheduler.optimizer, self.base_lr)
        groups = lr_scheduler.optimizer.param_groups
        lr_scheduler.base_lrs = [float(group["initial_lr"]) for group in groups]
        profile = _Profile(lambda step: self._u(step, state.max_steps), state.max_steps)
        lr_scheduler.lr_lambdas = [profile for _ in groups]
        _set_lr(lr_scheduler)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        set_momentum(lr_scheduler.optimizer, self.schedule, lr_scheduler.last_epoch, state.max_steps)

    def _u(self, step: int, horizon: int) -> float:
        return float(self.schedule.u(step, horizon))

    def _require_open_loop(self) -> None:
        if len(self.schedule.check_steps(1)):
            raise InputError(f"{self.schedule.family}: it needs validation losses, which a trial alone observes")


class TrialCallback(ScheduleCallback):
    """Trains a trial of a study: its schedule and base LR, its reports, and its end.

    The Trainer evaluates where the trial is due, whatever ``eval_strategy`` says, and reports all numbers of the
    evaluation; others of its evaluations are not reported. When the trial is stopped, so is the Trainer. Where the
    Trainer saves a checkpoint, the trial saves it too, and goes on from it after a crash::

        def train(trial: phitune.Trial) -> None:
            callback = TrialCallback(trial)
            args = TrainingArguments(trial.directory, max_steps=trial.budget, seed=trial.seed)
            trainer = Trainer(model, args, train_dataset=..., eval_dataset=..., callbacks=[callback])
            trainer.train(resume_from_checkpoint=callback.checkpoint())

    In processes of `Trial.spawn` each has its Trainer and its callback.

    Args:
        trial: The trial.
        loss: The evaluation's name for the validation loss; ``eval_NAME_loss`` with several evaluation sets.
        metric: Its name for the trial's ``val_metric``, such as ``eval_accuracy``.

    Raises:
        InputError: When training begins, as `ScheduleCallback`; the Trainer's number of steps is not the trial's
            budget; it does not start where the trial does; a metric is missing.
    """

    def __init__(self, trial: Trial, loss: str = "eval_loss", metric: str | None = None) -> None:
        self.trial = trial
        super().__init__(trial.schedule, trial.base_lr)
        self._loss = loss
        self._metric = metric
        self._names = {loss} if metric is None else {loss, metric}
        self._train_loss: dict[str, float] = {}
        self._metrics: dict[str, Any] = {}
        self._due = 0
        self._ended = False

    def checkpoint(self) -> str | None:
        """The folder of the checkpoint that the trial goes on from, for ``resume_from_checkpoint``; None at its start.

        It restores the trial.
        """
        files = self.trial.restore()
        if files is None:
            return None
        folder = self.trial.directory / "resumed"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # All processes of a trial write it.
            with whole_file(path) as fresh:
                fresh.write_bytes(content)
        return str(folder)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        require_budget(self.trial, state.max_steps, "max_steps")
        require_start(self.trial, state.global_step, "resume_from_checkpoint")
        super().on_train_begin(args, state, control, **others)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        self._require_reported()
        super().on_step_begin(args, state, control, **others)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.trial.due(state.global_step):
            self._due = state.global_step
            self._metrics = {}
            control.should_evaluate = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if "loss" in (logs or {}):
            self._train_loss = {"train_loss": logs["loss"]}

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: Any = None,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        # With several evaluation sets there is an evaluation of each.
        self._metrics |= metrics
        if self._ended or state.global_step != self._due or not self._names <= self._metrics.keys():
            return
        if not report(self.trial, self._due, self._metrics | self._train_loss, self._loss, self._metric):
            self._ended = control.should_training_stop = True
        elif len(self.schedule.check_steps(1)):
            # The loss decides about the LR of the next step, which is set.
            _set_lr(lr_scheduler)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._require_reported()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if not self._ended:
            self.trial.save(WhenSaved(lambda: _files(folder)), state.global_step)

    def _u(self, step: int, horizon: int) -> float:
        return self.trial.lr(step) / self.trial.base_lr

    def _require_open_loop(self) -> None:
        """Nothing: the trial observes the losses."""

    def _require_reported(self) -> None:
        if self._due > self.trial.reported and not self._ended:
            missing = sorted(self._names - self._metrics.keys())
            evaluated = ", ".join(sorted(self._metrics)) or "nothing: the Trainer has no eval_dataset"
            raise InputError(f"{', '.join(missing)}: not in the evaluation at step {self._due}, which has {evaluated}")


class _Profile:
    """A schedule as a function of ``LambdaLR``, which saves what is in ``__dict__``: the horizon."""

    __slots__ = ("__dict__", "_u")

    def __init__(self, u: Callable[[int], float], horizon: int) -> None:
        self._u = u
        self.horizon = horizon

    def __call__(self, step: int) -> float:
        return self._u(step)


def _set_lr(scheduler: LambdaLR) -> None:
    """Sets the LR of the next step in the optimizer."""
    groups = zip(scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, base_lr, u in groups:
        set_lr(group, float(base_lr) * u(scheduler.last_epoch))
    scheduler._last_lr = [float(group["lr"]) for group in scheduler.optimizer.param_groups]


def _files(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their paths in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
