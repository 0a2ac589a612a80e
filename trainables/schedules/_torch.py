"""The torch scheduler of a schedule."""

from __future__ import annotations

import warnings
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

    LR and momentum follow from ``last_epoch`` alone (torch's name for the step). A group that is added to the optimizer
    later follows from the next ``step()``: its base LR is its ``initial_lr``, or else the LR it was added with.

    Args:
        optimizer: Its groups' LRs are the base LRs.
        schedule: An open-loop schedule.
        horizon: The budget T. Beyond it the last value holds, and the first step there warns.
        last_epoch: The last step done, as in torch.
        extend: Whether states saved at another horizon may be loaded.

    Raises:
        InputError: The family cycles momentum and the optimizer has none.
    """

    def __init__(
        self, optimizer: Optimizer, schedule: OpenLoop, horizon: int, last_epoch: int = -1, extend: bool = False
    ) -> None:
        self.schedule = schedule
        self.horizon = horizon
        self.extend = extend
        self._warned: set[str] = set()
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """The groups' LRs at this step; sets the momentum, since SequentialLR starts a scheduler without ``step()``."""
        self._adopt_new_groups()
        set_momentum(self.optimizer, self.schedule, max(self.last_epoch, 0), self.horizon)
        if self.last_epoch > self.horizon:
            self._warn_once(
                "horizon",
                f"step {self.last_epoch} of a schedule of {self.horizon}: from here on the LR stays at its last value. "
                "Call step() once after each optimizer.step(), not after each part of an accumulated batch, nor once "
                "for each process",
            )
        u = float(self.schedule.u(max(self.last_epoch, 0), self.horizon))
        return [base_lr * u for base_lr in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        if self._step_count > 0 and epoch is None and not self._sets_lr():
            self._warn_once(
                "other",
                f"the LR of the first parameter group is {float(self.optimizer.param_groups[0]['lr']):.6g}, and this "
                f"scheduler had set {float(self._last_lr[0]):.6g}: what else sets it, such as another scheduler of a "
                "ChainedScheduler, is overwritten at every step",
            )
        super().step(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers only, so that ``torch.load`` reads them with ``weights_only=True``."""
        self._adopt_new_groups()
        return {
            "last_epoch": self.last_epoch,
            "horizon": self.horizon,
            "base_lrs": [float(base_lr) for base_lr in self.base_lrs],
            "_step_count": self._step_count,
            "_last_lr": [float(lr) for lr in self._last_lr],
            # False while another scheduler of a SequentialLR is at work.
            "sets_lr": self._sets_lr(),
        }

    def load_state_dict(self, state_dict: dict[str, Any], extend: bool = False) -> None:
        """Resumes after the step of the state, and sets LR and momentum in the optimizer to this scheduler's there.

        The optimizer's own state may be loaded before or after.

        Args:
            state_dict: What `state_dict` returned.
            extend: Whether the state may be of another horizon. The LR then goes on at the state's step of this
                scheduler's horizon, which differs from the LR that the state's run had there.

        Raises:
            InputError: The state is of another horizon or of another number of parameter groups.
        """
        state = dict(state_dict)
        horizon, sets_lr = state.pop("horizon", self.horizon), state.pop("sets_lr", True)
        if horizon != self.horizon and not (extend or self.extend):
            raise InputError(
                f"horizon: the state is from a schedule of {horizon} steps, this one has {self.horizon}; the LR would "
                f"jump. Use horizon={horizon}, or extend=True to go on at step {state['last_epoch']} of {self.horizon}"
            )
        groups = self.optimizer.param_groups
        if len(state["base_lrs"]) != len(groups):
            raise InputError(
                f"parameter groups: the state is of {len(state['base_lrs'])}, the optimizer has {len(groups)}; "
                "give the optimizer the groups it had, then load"
            )
        super().load_state_dict(state)
        if sets_lr:
            for group, lr in zip(groups, self.get_lr(), strict=True):
                set_lr(group, lr)
            self._last_lr = [float(group["lr"]) for group in groups]

    def _sets_lr(self) -> bool:
        """Whether the optimizer has the LRs that this scheduler last set."""
        groups = zip(self._last_lr, self.optimizer.param_groups, strict=False)
        return all(float(lr) == float(group["lr"]) for lr, group in groups)

    def _adopt_new_groups(self) -> None:
        groups = self.optimizer.param_groups
        for group in groups[len(self.base_lrs) :]:
            # An optimizer made with a tensor as its LR gives that very tensor, scaled by now, to a group without an LR.
            shared = (base for base, other in zip(self.base_lrs, groups, strict=False) if other["lr"] is group["lr"])
            own = next(shared, group["lr"]) if isinstance(group["lr"], Tensor) else group["lr"]
            self.base_lrs.append(float(group.setdefault("initial_lr", float(own))))

    def _warn_once(self, topic: str, message: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            warnings.warn(message, stacklevel=3)


def set_lr(group: dict[str, Any], lr: float | Tensor) -> None:
    """Sets the LR of a parameter group, whose tensor stays if it has one."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def set_base_lr(optimizer: Optimizer, base_lr: float) -> None:
    """Scales the base LRs of an optimizer's groups alike, so that the largest is ``base_lr``, and sets their LRs to it.

    A restored optimizer is somewhere on its schedule; its base LRs are with it, as ``initial_lr``.

    Raises:
        InputError: They are all zero.
    """
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    largest = max(rates)
    if not largest > 0:
        raise InputError("lr_scheduler: the optimizer's LR is 0; give it any other, whose groups keep their ratio")
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        # To the last bit the same when it is done again, as after a resume.
        group["initial_lr"] = base_lr if rate == largest else rate * (base_lr / largest)
        set_lr(group, group["initial_lr"])


def set_momentum(optimizer: Optimizer, schedule: OpenLoop, step: int, horizon: int) -> None:
    """Sets the momentum (Adam: β₁) of all groups to the schedule's at ``step``, if its family cycles it.

    Raises:
        InputError: The family cycles momentum and the optimizer has none.
    """
    momentum = schedule.momentum(step, horizon)
    if momentum is None:
        return
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (float(momentum), *group["betas"][1:])
        elif "momentum" in group:
            group["momentum"] = float(momentum)
        else:
            raise InputError(
                f"{schedule.family}: {type(optimizer).__name__} has no momentum to cycle; set cycle_momentum to false"
            )
