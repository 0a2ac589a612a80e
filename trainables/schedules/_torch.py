"""The torch scheduler of a schedule."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from phitune.trainables.errors import InputError


class OpenLoop(Protocol):
    """What a torch scheduler needs of a schedule: LR and momentum as functions of the step."""

    family: ClassVar[str]

    def u(self, step: ArrayLike, horizon: int) -> NDArray[np.float64]: ...
    def momentum(self, step: ArrayLike, horizon: int) -> NDArray[np.float64] | None: ...


class ProfileLR(LRScheduler):
    """Sets every parameter group to its base LR × u(step, horizon), and its momentum if the family cycles it.

    LR and momentum follow from ``last_epoch`` alone (torch's name for the step), so loading a state sets both in the
    optimizer, whichever of the two states is loaded first.

    Args:
        optimizer: Its groups' LRs are the base LRs.
        schedule: An open-loop schedule.
        horizon: The budget T; beyond it the last value holds.
        last_epoch: The last step done, as in torch.

    Raises:
        InputError: The family cycles momentum and the optimizer has none.
    """

    def __init__(self, optimizer: Optimizer, schedule: OpenLoop, horizon: int, last_epoch: int = -1) -> None:
        self.schedule = schedule
        self.horizon = horizon
        if schedule.momentum(0, horizon) is not None and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise InputError(
                f"{schedule.family}: {type(optimizer).__name__} has no momentum to cycle; set cycle_momentum to false"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        u = float(self.schedule.u(max(self.last_epoch, 0), self.horizon))
        return [base_lr * u for base_lr in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        self._cycle_momentum()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers only, so that ``torch.load`` reads them with ``weights_only=True``."""
        return {
            "last_epoch": self.last_epoch,
            "base_lrs": [float(base_lr) for base_lr in self.base_lrs],
            "_step_count": self._step_count,
            "_last_lr": [float(lr) for lr in self._last_lr],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resumes after the step of the state; schedule and horizon stay this scheduler's."""
        super().load_state_dict(state_dict)
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        self._cycle_momentum()

    def _cycle_momentum(self) -> None:
        momentum = self.schedule.momentum(max(self.last_epoch, 0), self.horizon)
        if momentum is None:
            return
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (float(momentum), *group["betas"][1:])
            else:
                group["momentum"] = float(momentum)
