"""Optimizers whose parameters are rows, each with its own LR, momentum and step counter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepInputs:
    """Per-row inputs of one optimizer step.

    Attributes:
        lr: Learning rates, [rows, 1].
        momentum: SGD's momentum or Adam's beta1, [rows, 1].
        step: Number of the step, from 1, [rows, 1].
        any_zero_momentum: Whether some row's momentum is 0; computed on the host, which need not wait for a GPU then.
    """

    lr: Tensor
    momentum: Tensor
    step: Tensor
    any_zero_momentum: bool


class Update(ABC):
    """The optimizers of `learning.optimizers` for many trials at once; they agree but for rounding.

    Args:
        options: Options of torch's optimizer, from its ``defaults``.
        decay: Weight decay of each element of a row, [width].

    Attributes:
        names: Torch's names of the parts of the state; each part is a matrix of the same shape as the weights.
        counts: Whether torch keeps a step counter beside them.
    """

    names: tuple[str, ...]
    counts: bool

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        self._options = options
        self._decay = decay if bool(decay.any()) else None

    @abstractmethod
    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], inputs: StepInputs) -> None:
        """One step, in place. It allocates no matrix of that shape, which could fail half-way through.

        Args:
            weights: [rows, width].
            gradient: [rows, width]; it is overwritten, as the only space for intermediate results.
            state: A matrix of the same shape for each of ``names``, zeros before the first step.
            inputs: LR, momentum and step of each row.
        """

    @property
    @abstractmethod
    def momentum(self) -> float:
        """Momentum of a trial whose schedule does not cycle it."""


class Sgd(Update):
    """As `torch.optim.SGD`, whose momentum starts from the first gradient."""

    counts = False

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        super().__init__(options, decay)
        self.names = ("momentum_buffer",) if options["momentum"] else ()

    @property
    def momentum(self) -> float:
        return float(self._options["momentum"])

    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], inputs: StepInputs) -> None:
        if self._decay is not None:
            gradient.addcmul_(weights, self._decay)
        if self.names:
            buffer = state["momentum_buffer"]
            if inputs.any_zero_momentum:
                # Torch leaves the buffer as it is at a step without momentum.
                moving = inputs.momentum != 0
                buffer.mul_(torch.where(moving, inputs.momentum, 1)).addcmul_(gradient, moving.to(inputs.momentum))
            else:
                buffer.mul_(inputs.momentum).add_(gradient)
            if self._options["nesterov"]:
                gradient.addcmul_(buffer, inputs.momentum)
            elif inputs.any_zero_momentum:
                torch.where(moving, buffer, gradient, out=gradient)
            else:
                gradient = buffer
        weights.addcmul_(gradient, inputs.lr, value=-1)


class Adam(Update):
    """As `torch.optim.Adam`, ``AdamW`` (decoupled decay) and ``amsgrad``."""

    counts = True

    def __init__(self, options: dict[str, Any], decay: Tensor) -> None:
        super().__init__(options, decay)
        self.names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if options["amsgrad"] else ()))

    @property
    def momentum(self) -> float:
        return float(self._options["betas"][0])

    def apply(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], inputs: StepInputs) -> None:
        beta2, decay = self._options["betas"][1], self._decay
        decoupled = self._options["decoupled_weight_decay"]
        if decay is not None and not decoupled:
            gradient.addcmul_(weights, decay)
        mean = state["exp_avg"].lerp_(gradient, 1 - inputs.momentum)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if self._options["amsgrad"]:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        if decay is not None and decoupled:
            weights.addcmul_(torch.mul(weights, decay, out=gradient), inputs.lr, value=-1)
        # Powers of numbers near one: in single precision their distance from one would be off.
        exact = inputs.step.double()
        share = inputs.lr / (1 - inputs.momentum.double() ** exact).to(inputs.lr.dtype)
        root = (1 - beta2**exact).sqrt().to(inputs.lr.dtype)
        scale = torch.sqrt(square, out=gradient).div_(root).add_(self._options["eps"])
        weights.addcmul_(torch.div(mean, scale, out=scale), share, value=-1)


def update(optimizer: torch.optim.Optimizer, decay: Tensor) -> Update | None:
    """The update for rows that matches torch's optimizer; None if there is none."""
    if type(optimizer) is torch.optim.SGD:
        return Sgd(optimizer.defaults, decay)
    if type(optimizer) in (torch.optim.Adam, torch.optim.AdamW):
        return Adam(optimizer.defaults, decay)
    return None
