"""A schedule as a torch scheduler."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from trainables.schedules._base import Schedule


def lr_scheduler(schedule: Schedule, optimizer: Optimizer, horizon: int, last_epoch: int = -1) -> LambdaLR:
    """A `LambdaLR` that gives every parameter group its own base LR times u(step, horizon)."""

    def multiplier(step: int) -> float:
        return float(schedule.u(step, horizon))

    return LambdaLR(optimizer, multiplier, last_epoch)
