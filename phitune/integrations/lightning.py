"""Callbacks for Lightning's ``Trainer``: a schedule, and a trial of a study; and what ``configure_optimizers`` returns.

As in::

    trainer = Trainer(max_steps=1000, callbacks=[ScheduleCallback(schedule("uba", phi=2.0))])

Steps are optimizer steps (``trainer.global_step``): however many batches are accumulated and on however many devices.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from phitune.integrations._trials import WhenSaved, report, require_budget, require_start
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule
from phitune.trainables.schedules._torch import ProfileLR, set_base_lr
from phitune.trainables.training.function import Trial

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities.types import LRSchedulerConfig
    from torch.optim import Optimizer
else:
    try:
        from lightning.pytorch import Callback
        from lightning.pytorch.utilities.types import LRSchedulerConfig
    except ImportError:
        from pytorch_lightning import Callback
        from pytorch_lightning.utilities.types import LRSchedulerConfig

__all__ = ["ScheduleCallback", "TrialCallback", "optimizer_and_schedule"]


def optimizer_and_schedule(scheduler: LRScheduler) -> dict[str, Any]:
    """What ``configure_optimizers`` returns for a scheduler that is stepped with its optimizer.

    Lightning steps a scheduler that is returned in any shorter form, such as ``[optimizer], [scheduler]``, once an
    epoch. As in::

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            horizon = self.trainer.estimated_stepping_batches
            return optimizer_and_schedule(schedule("uba", phi=2.0).lr_scheduler(optimizer, horizon))

    Args:
        scheduler: A schedule's ``lr_scheduler``, or a trial's.

    Raises:
        InputError: It is of the family ``plateau``, which is stepped with a loss.
    """
    if not isinstance(scheduler, ProfileLR):
        raise InputError(f"scheduler: a {type(scheduler).__name__} is not stepped with its optimizer")
    return {"optimizer": scheduler.optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class ScheduleCallback(Callback):  # type: ignore[misc]
    """Trains with a schedule, without a change to the module; ``configure_optimizers`` returns the optimizer alone.

    Lightning steps the scheduler, logs its LR and saves its state as it does with one of the module's own. Parameter
    groups keep the ratio of their LRs.

    Args:
        schedule: The schedule (`phitune.schedule`).
        base_lr: LR at its peak; by default that of the module's optimizer.
        horizon: Optimizer steps; by default ``trainer.estimated_stepping_batches``.
        extend: Whether a run may resume from a checkpoint of a run with another horizon.

    Raises:
        InputError: When fitting begins: the number of steps is not known, the module has several optimizers, steps
            them itself or has a scheduler, or the checkpoint is of another horizon.
    """

    def __init__(
        self, schedule: Schedule, base_lr: float | None = None, horizon: int | None = None, extend: bool = False
    ) -> None:
        if len(schedule.check_steps(1)):
            raise InputError(f"{schedule.family}: it needs validation losses, which a trial alone observes")
        self._schedule = schedule
        self._base_lr = base_lr
        self._horizon = horizon
        self._extend = extend

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # After configure_optimizers and before a checkpoint is loaded.
        if trainer.lr_scheduler_configs:
            raise InputError("configure_optimizers: it returns a scheduler too; return the optimizer alone")
        _add(trainer, self._scheduler(trainer, _only_optimizer(trainer, pl_module)))

    def _scheduler(self, trainer: Trainer, optimizer: Optimizer) -> LRScheduler:
        horizon = self._horizon or trainer.estimated_stepping_batches
        if horizon in (-1, float("inf")):
            raise InputError("horizon: the trainer does not know its number of steps; give it max_steps")
        if self._base_lr is not None:
            set_base_lr(optimizer, self._base_lr)
        return self._schedule.lr_scheduler(optimizer, int(horizon), extend=self._extend)


class TrialCallback(Callback):  # type: ignore[misc]
    """Trains a trial of a study: its schedule and base LR, its reports, and its end.

    The trainer validates where the trial is due, whatever ``val_check_interval`` says, and reports all metrics that the
    module logs. When the trial is stopped, so is the trainer. On one device the trial is saved at its reports, and goes
    on from there after a crash::

        def train(trial: phitune.Trial) -> None:
            callback = TrialCallback(trial)
            trainer = Trainer(max_steps=trial.budget, max_epochs=-1, callbacks=[callback])
            trainer.fit(module, batches, validation_batches, ckpt_path=callback.checkpoint())

    ``configure_optimizers`` returns the optimizer alone, or `optimizer_and_schedule` of ``trial.lr_scheduler``. It
    warns if Lightning steps the trial's scheduler once an epoch.

    Args:
        trial: The trial.
        loss: The name by which the module logs the validation loss.
        metric: The one of the trial's ``val_metric``, if it has any.

    Raises:
        InputError: When fitting begins: the trainer's number of steps is not the trial's budget, it does not start
            where the trial does, it does not validate, or the module's optimizers and schedulers are not such.
            Later, if the module does not log a metric.
    """

    def __init__(self, trial: Trial, loss: str = "val_loss", metric: str | None = None) -> None:
        self._trial = trial
        self._loss = loss
        self._metric = metric
        self._ended = False

    def checkpoint(self) -> str | None:
        """The file of the checkpoint that the trial goes on from, for ``ckpt_path``; None at its start.

        It restores the trial.
        """
        content = self._trial.restore()
        if content is None:
            return None
        path = self._trial.directory / "resumed.ckpt"
        path.write_bytes(content)
        return str(path)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        require_budget(self._trial, trainer.estimated_stepping_batches, "max_steps")
        if not trainer.enable_validation:
            raise InputError("validation: the trainer has none; give it validation batches and a validation_step")
        optimizer = _only_optimizer(trainer, pl_module)
        if not trainer.lr_scheduler_configs:
            _add(trainer, self._trial.lr_scheduler(optimizer))
        for config in trainer.lr_scheduler_configs:
            if not isinstance(config.scheduler, ProfileLR):
                raise InputError(
                    f"configure_optimizers: it returns a {type(config.scheduler).__name__}; return the optimizer alone"
                )
            if config.interval != "step":
                warnings.warn(
                    "Lightning steps the trial's scheduler once an epoch, so the LR hardly changes; return "
                    "phitune.integrations.lightning.optimizer_and_schedule(scheduler) from configure_optimizers",
                    stacklevel=2,
                )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        require_start(self._trial, trainer.global_step, "ckpt_path")
        # Validation is where the trial is due, in whichever epoch.
        trainer.check_val_every_n_epoch = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        due = trainer.global_step > self._trial.reported and self._trial.due(trainer.global_step)
        # Lightning validates when the number of batches is a multiple of this.
        trainer.val_check_batch = batches if due else batches + 1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step
        if trainer.state.fn != "fit" or trainer.sanity_checking or self._ended or step <= self._trial.reported:
            return
        metrics = {
            name: float(value) if isinstance(value, Tensor) else value
            for name, value in trainer.callback_metrics.items()
        }
        self._ended = not report(self._trial, step, metrics, self._loss, self._metric)
        if self._ended:
            trainer.should_stop = True
        elif trainer.world_size == 1:
            self._trial.save(WhenSaved(lambda: _checkpoint(trainer)), step)


def _only_optimizer(trainer: Trainer, module: LightningModule) -> Optimizer:
    optimizers: list[Optimizer] = trainer.optimizers
    if not module.automatic_optimization or len(optimizers) != 1:
        raise InputError(
            "configure_optimizers: a callback's schedule is for one optimizer that Lightning steps; where the module "
            "steps its own, let it step a schedule's lr_scheduler too"
        )
    return optimizers[0]


def _add(trainer: Trainer, scheduler: LRScheduler) -> None:
    trainer.strategy.lr_scheduler_configs.append(LRSchedulerConfig(scheduler, interval="step"))


def _checkpoint(trainer: Trainer) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        return path.read_bytes()
