"""Optimizers by the names a study file uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec, Value
from phitune.trainables.suggestion import did_you_mean
from phitune.trainables.workloads.base import schedule_free

_ADAM: dict[str, Value] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def _schedulefree_sgd(groups: Any, **options: Any) -> Optimizer:
    # Imported here, so that machines with torch alone can train with the others.
    from schedulefree import SGDScheduleFree

    return SGDScheduleFree(groups, **options)  # type: ignore[no-any-return]


def _schedulefree_adamw(groups: Any, **options: Any) -> Optimizer:
    from schedulefree import AdamWScheduleFree

    return AdamWScheduleFree(groups, **options)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Kind:
    """Builder of an optimizer, and the options that a study file may set, with their defaults."""

    build: Callable[..., Optimizer]
    options: dict[str, Value]


_KINDS: dict[str, _Kind] = {
    "sgd": _Kind(lambda groups, **kw: SGD(groups, fused=True, **kw), {"momentum": 0.9, "nesterov": False}),
    "adam": _Kind(lambda groups, **kw: Adam(groups, fused=True, **kw), _ADAM),
    "adamw": _Kind(lambda groups, **kw: AdamW(groups, fused=True, **kw), _ADAM),
    "amsgrad": _Kind(lambda groups, **kw: Adam(groups, amsgrad=True, fused=True, **kw), _ADAM),
    "schedulefree-sgd": _Kind(_schedulefree_sgd, {"momentum": 0.9}),
    "schedulefree-adamw": _Kind(_schedulefree_adamw, _ADAM),
}


def check_optimizer(spec: Spec) -> None:
    """Checks an optimizer's name and options.

    Raises:
        InputError: Unknown name or option, or a value out of its range.
    """
    if spec.name not in _KINDS:
        hint = did_you_mean(spec.name, _KINDS)
        raise InputError(f"optimizers: unknown optimizer {spec.name!r};{hint} optimizers: {', '.join(_KINDS)}")
    options = _KINDS[spec.name].options
    for key, value in spec.items:
        where = f"optimizers.{spec.name}.{key}"
        if key not in options and key != "weight_decay":
            raise InputError(f"{where}: unknown option; {spec.name} takes: {', '.join([*options, 'weight_decay'])}")
        if key == "nesterov":
            if not isinstance(value, bool):
                raise InputError(f"{where}: {value!r} is not allowed; it must be true or false")
            continue
        below = math.inf if key in ("eps", "weight_decay") else 1.0
        if isinstance(value, bool | str) or not 0 <= value < below:
            allowed = "a number of at least 0" if below == math.inf else "a number in [0, 1)"
            raise InputError(f"{where}: {value!r} is not allowed; it must be {allowed}")
    # Schedule-free optimizers divide by it to get at their average.
    needs_momentum = schedule_free(spec) or spec.params.get("nesterov")
    for key in ("momentum", "beta1"):
        if needs_momentum and spec.params.get(key) == 0:
            raise InputError(f"optimizers.{spec.name}.{key}: 0 is not allowed; {spec.label} needs one above 0")


def build_optimizer(
    spec: Spec, decayed: Iterable[torch.nn.Parameter], free: Iterable[torch.nn.Parameter], weight_decay: float
) -> Optimizer:
    """A torch optimizer with learning rate 0, to be set before every step.

    Args:
        spec: Name and options: ``sgd`` (momentum 0.9, nesterov false), ``adam adamw amsgrad`` (beta1, beta2, eps as
            torch's), ``schedulefree-sgd schedulefree-adamw`` (Defazio et al., arXiv 2405.15682; made for a constant
            LR). Each takes ``weight_decay`` too, which wins over the workload's.
        decayed: Parameters with weight decay.
        free: Parameters without weight decay.
        weight_decay: L2 coefficient (``sgd adam amsgrad schedulefree-sgd``) or decoupled decay (the AdamW kinds).
    """
    check_optimizer(spec)
    kind = _KINDS[spec.name]
    options: dict[str, Any] = {"weight_decay": weight_decay, **kind.options, **spec.params}
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    decay = options.pop("weight_decay")
    groups = [{"params": list(decayed), "weight_decay": decay}, {"params": list(free), "weight_decay": 0.0}]
    return kind.build([group for group in groups if group["params"]], lr=0.0, **options)


def set_lr(optimizer: Optimizer, lr: float, momentum: float | None = None) -> None:
    """Sets every group's learning rate and, unless None, SGD's momentum or Adam's beta1.

    SGD without momentum stays without: a schedule that cycles momentum must not make another optimizer of it.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif optimizer.defaults["momentum"]:
            group["momentum"] = momentum
