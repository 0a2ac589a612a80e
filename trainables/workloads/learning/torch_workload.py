"""The base class of workloads around a torch model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Learner, Workload
from phitune.trainables.workloads.learning.optimizers import check_optimizer
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_problem import TorchProblem

DEFAULT_BASE_LR: Mapping[str, tuple[float, float]] = {
    "sgd": (0.001, 1.0),
    "adam": (1e-4, 0.1),
    "adamw": (1e-4, 0.1),
    "amsgrad": (1e-4, 0.1),
    "schedulefree-sgd": (0.01, 10.0),
    "schedulefree-adamw": (1e-4, 0.1),
}


class TorchWorkload(TorchProblem, Workload):
    """A workload that trains a torch model with a `TorchLearner`.

    A subclass sets ``full_budget`` and defines `model`, `batch` and `chunks`; for other than classification `loss` and
    `metric` too. For data that fits in memory as tensors, subclass `workloads.learning.supervised.SupervisedWorkload`
    instead.
    """

    base_lr: Mapping[str, tuple[float, float]] = DEFAULT_BASE_LR

    def check(self, optimizer: Spec) -> None:
        check_optimizer(optimizer)
        own_loss = type(self).loss is not TorchWorkload.loss
        if self.recipe.label_smoothing and own_loss and type(self).training_loss is TorchWorkload.training_loss:
            raise InputError(
                f"workloads.label_smoothing: {self.recipe.label_smoothing!r} is not allowed; {type(self).__name__} has "
                "a loss of its own, without smoothing, so it must be 0"
            )

    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return TorchLearner(self, optimizer, seed, device)

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        return {**super().parameters(), **asdict(cls.recipe)}

    @classmethod
    def build(cls, spec: Spec, *parts: str) -> Self:
        parameters = spec.params
        recipe = {key: parameters.pop(key) for key in Recipe.names() if key in parameters}
        workload = cls(*parts, **parameters)
        workload.recipe = workload.recipe.changed(recipe)
        return workload
