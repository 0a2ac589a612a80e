"""Optimizers whose parameters are rows, each with its own LR, momentum and step counter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Now:
    """What the rows are told for a step.

    Attributes:
        lr: [rows, 1].
        momentum: SGD's momentum or Adam's beta1, [rows, 1].
        step: The step's number from 1, [rows, 1].
        still: Whether there is a momentum of 0 among them; known on the host, so that nobody waits for a GPU.
    """

    lr: Tensor
    momentum: Tensor
    step: Tensor
    still: bool


class Update(ABC):
    """What `trainables.optimizers` builds for one trial, for many: the same numbers but for rounding.

    Args:
        options: Of torch's optimizer, from its ``defaults``.
        decay: Weight decay of each of a row's numbers, [width].

    Attributes:
        names: Of the state's parts, as torch has them; each is a matrix of the same shape as the weights.
        counts: Whether torch keeps a step counter beside them.
    """

    names: tuple[str, ...]
    counts: bool

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        self._options = options
        self._decay = decay if bool(decay.any()) else None

    @abstractmethod
    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], now: Now) -> None:
        """One step, in place, without memory for another matrix of that shape: it could be short, half-way through.

        Args:
            weights: [rows, width].
            gradient: The same; it is overwritten, as the only place for what comes between.
            state: A matrix of the same shape for each of ``names``, zeros before the first step.
            now: What each row is told.
        """

    @property
    @abstractmethod
    def momentum(self) -> float:
        """What a trial has whose schedule says nothing of it."""


class Sgd(Update):
    """As `torch.optim.SGD`, whose momentum starts from the first gradient."""

    counts = False

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        super().__init__(options, decay)
        self.names = ("momentum_buffer",) if options["momentum"] else ()

    @property
    def momentum(self) -> float:
        return float(self._options["momentum"])

    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], now: Now) -> None:
        if self._decay is not None:
            gradient.addcmul_(weights, self._decay)
        if self.names:
            buffer = state["momentum_buffer"]
            if now.still:
                # Torch leaves the buffer as it is at a step without momentum.
                moving = now.momentum != 0
                buffer.mul_(torch.where(moving, now.momentum, 1)).addcmul_(gradient, moving.to(now.momentum))
            else:
                buffer.mul_(now.momentum).add_(gradient)
            if self._options["nesterov"]:
                gradient.addcmul_(buffer, now.momentum)
            elif now.still:
                torch.where(moving, buffer, gradient, out=gradient)
            else:
                gradient = buffer
        weights.addcmul_(gradient, now.lr, value=-1)


class Adam(Update):
    """As `torch.optim.Adam`, ``AdamW`` (decoupled decay) and ``amsgrad``."""

    counts = True

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        super().__init__(options, decay)
        self.names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if options["amsgrad"] else ()))

    @property
    def momentum(self) -> float:
        return float(self._options["betas"][0])

    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], now: Now) -> None:
        beta2, decay = self._options["betas"][1], self._decay
        decoupled = self._options["decoupled_weight_decay"]
        if decay is not None and not decoupled:
            gradient.addcmul_(weights, decay)
        mean = state["exp_avg"].lerp_(gradient, 1 - now.momentum)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if self._options["amsgrad"]:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        if decay is not None and decoupled:
            weights.addcmul_(torch.mul(weights, decay, out=gradient), now.lr, value=-1)
        # Powers of numbers near one: in single precision their distance from one would be off.
        exact = now.step.double()
        share = now.lr / (1 - now.momentum.double() ** exact).to(now.lr.dtype)
        root = (1 - beta2**exact).sqrt().to(now.lr.dtype)
        scale = torch.sqrt(square, out=gradient).div_(root).add_(self._options["eps"])
        weights.addcmul_(torch.div(mean, scale, out=scale), share, value=-1)


def update(optimizer: torch.optim.Optimizer, decay: Tensor) -> Update | None:
    """The update that does what torch's optimizer does; None if there is none here."""
    if type(optimizer) is torch.optim.SGD:
        return Sgd(optimizer.defaults, decay)
    if type(optimizer) in (torch.optim.Adam, torch.optim.AdamW):
        return Adam(optimizer.defaults, decay)
    return None
