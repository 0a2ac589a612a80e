"""Training loops as users write them, small."""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor, distributed, nn

import phitune


def decay(trial: phitune.Trial, start: float = 1.0) -> None:
    """A weight that every step shrinks by its LR; its loss is the weight."""
    weight = trial.restore() or start
    for step in range(trial.start, trial.budget):
        weight *= 1 - trial.lr(step)
        if trial.due(step + 1) and not trial.report(step + 1, val_loss=weight, twice=2 * weight):
            (trial.directory / "stopped").touch()
            return
        trial.save(weight)


def deaf(trial: phitune.Trial) -> None:
    """Goes on for ten seconds after it is told to stop."""
    for step in range(trial.budget):
        if trial.due(step + 1) and not trial.report(step + 1, val_loss=1.0):
            time.sleep(10)


def obstinate(trial: phitune.Trial) -> None:
    """Does not look at verdicts, and notes every exception."""
    for step in range(trial.budget):
        try:
            if trial.due(step + 1):
                trial.report(step + 1, val_loss=1.0)
        except Exception as error:
            (trial.directory / "swallowed").write_text(repr(error))


def returns_early(trial: phitune.Trial) -> None:
    trial.report(min(step for step in range(1, trial.budget + 1) if trial.due(step)), val_loss=1.0)


def raises(trial: phitune.Trial) -> None:
    raise ZeroDivisionError("nothing to share")


def restores_twice(trial: phitune.Trial) -> None:
    if trial.restore() is None:
        trial.due(1)
        trial.save(1.0)
        raise ZeroDivisionError("the process dies")
    trial.restore()


def explodes(trial: phitune.Trial) -> None:
    trial.report(3, val_loss=float("inf"))
    (trial.directory / "after").touch()


def network(trial: phitune.Trial, optimizer_first: bool = True) -> None:
    """Dropout and batches from the process-wide generators."""
    model = _model()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 0.5}], lr=1.0, momentum=0.9
    )
    if not optimizer_first:
        scheduler = trial.lr_scheduler(optimizer)
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    if optimizer_first:
        scheduler = trial.lr_scheduler(optimizer)
    for step in range(trial.start, trial.budget):
        _step(model, optimizer, torch.randint(0, 64, (16,)))
        scheduler.step()
        if trial.due(step + 1):
            trial.report(step + 1, val_loss=_val_loss(model))
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


def pair(trial: phitune.Trial, how: str = "") -> None:
    """Two processes, each with half of every batch; the second may raise or, once, die at step 13."""
    phitune.spawn(trial, half, how, processes=2)


def ray_train(trial: phitune.Trial) -> None:
    """The first thing that a trainer's ``fit`` does, once Ray is there."""
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(print, scaling_config=ScalingConfig(num_workers=2))._create_default_callbacks()


def apart(trial: phitune.Trial, how: str = "") -> None:
    """The same with a process on each of two nodes."""
    phitune.spawn(trial, half, how)


def half(trial: phitune.Trial, how: str) -> None:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    model = nn.parallel.DistributedDataParallel(_model())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    scheduler = trial.lr_scheduler(optimizer)
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(trial.start, trial.budget):
        if step == 13 and rank == 1 and how:
            _fail(how, trial)
        _step(model, optimizer, torch.randint(0, 64, (16,))[rank::2])
        scheduler.step()
        if trial.due(step + 1):
            metrics = {"val_loss": _val_loss(model.module)} if rank == 0 else {}
            if not trial.report(step + 1, **metrics):
                (trial.directory / f"{rank}.stopped").touch()
                if how == "deaf":
                    time.sleep(60)
                return
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


def _fail(how: str, trial: phitune.Trial) -> None:
    if how == "raises":
        raise ZeroDivisionError("nothing to share")
    if how == "sleeps":
        time.sleep(600)
    if how == "dies" and not (trial.directory / "died").exists():
        (trial.directory / "died").touch()
        os._exit(3)


def _model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def _data() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    return inputs, (inputs**2).sum(1, keepdim=True)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Tensor) -> None:
    inputs, targets = _data()
    loss = nn.functional.mse_loss(model(inputs[batch]), targets[batch])
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _val_loss(model: nn.Module) -> Tensor:
    inputs, targets = _data()
    model.eval()
    loss = nn.functional.mse_loss(model(inputs), targets)
    model.train()
    return loss
