"""What the tests of workloads share: short trainings, and equality bit for bit."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phitune.trainables.spec import Spec, Value
from phitune.trainables.workloads import Learner, Workload, workload

Entry = str | Mapping[str, Value]


def first_optimizer(built: Workload) -> str:
    """The first optimizer of ``base_lr``."""
    return next(iter(built.base_lr))


def middle_lr(built: Workload, optimizer: str) -> float:
    """The geometric middle of the optimizer's range of base LR."""
    low, high = built.base_lr[optimizer]
    return math.sqrt(low * high)


def train(learner: Learner, steps: int, lr: float) -> list[float]:
    """Trains for some steps and returns their training losses."""
    return [float(learner.step(lr)) for _ in range(steps)]


def changed(entry: Entry, values: Mapping[str, Value]) -> Workload:
    """The workload with some parameters replaced."""
    spec = Spec.of(entry)
    return workload(Spec.of({"name": spec.name, **spec.params, **values}))


def global_generators() -> dict[str, Any]:
    """The states of the process's global random generators."""
    return {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "Python": random.getstate()}  # noqa: NPY002


def equal(first: Any, second: Any) -> bool:
    """Whether two states are equal bit for bit."""
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)
