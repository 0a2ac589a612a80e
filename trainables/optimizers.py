"""Optimizers by the names a study file uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda params, **kw: SGD(params, momentum=0.9, **kw),
    "adam": lambda params, **kw: Adam(params, **kw),
    "adamw": lambda params, **kw: AdamW(params, **kw),
    "amsgrad": lambda params, **kw: Adam(params, amsgrad=True, **kw),
}


def optimizer(name: str, params: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> Optimizer:
    """A torch optimizer; ``sgd`` has momentum 0.9, the Adam kinds torch's default betas.

    Args:
        name: One of ``sgd adam adamw amsgrad``; `trainables.workloads` says which a workload supports.
        params: The parameters to train; one group.
        lr: Initial learning rate.
        weight_decay: L2 coefficient (``sgd adam amsgrad``) or decoupled decay (``adamw``).
    """
    keywords: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "fused": True}
    return _OPTIMIZERS[name](params, **keywords)
