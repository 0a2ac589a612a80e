"""The base classes of workloads and of their learners."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and metric of a model over one split."""

    loss: float
    metric: float


@dataclass(frozen=True)
class Norms:
    """L2 norms over all parameters: of the last step's gradient, and of the weights."""

    grad: float
    weight: float


def average_weight(steps: int) -> float:
    """Weight w of the newest weights θ in their average, ``a ← a + w (θ − a)``, after ``steps`` steps.

    min(1, 10 / steps): the average's horizon is a tenth of the steps so far.
    """
    return min(1.0, 10.0 / steps)


@dataclass(frozen=True)
class Diagnosis:
    """Request for measurements by `Learner.diagnose`.

    Attributes:
        gradient: Norm of the gradient over the training set, and the training loss there.
        hessian: Largest and smallest eigenvalue of the Hessian of the training loss.
        examples: Training examples to use, always the same; None takes all, which is exact.
    """

    gradient: bool = True
    hessian: bool = False
    examples: int | None = None


def schedule_free(optimizer: Spec) -> bool:
    """Whether the optimizer needs no schedule, so that it is searched with ``constant`` (with warmup) only."""
    return optimizer.name.startswith("schedulefree-")


class Learner(ABC):
    """What one trial trains: weights, optimizer state and the running average of the weights (`average_weight`)."""

    @abstractmethod
    def step(self, lr: float, momentum: float | None = None) -> float | Tensor:
        """One iteration at learning rate ``lr``; returns its training loss (before the update).

        Args:
            lr: Learning rate.
            momentum: The schedule's momentum, for schedules that cycle it; None leaves the optimizer's.

        Returns:
            A number, or a scalar tensor that is still being computed.
        """

    @abstractmethod
    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        """Loss and metric over a split, of the weights or of their average."""

    @abstractmethod
    def norms(self) -> Norms:
        """Norms of the last step's gradient and of the weights."""

    def diagnose(self, diagnosis: Diagnosis) -> dict[str, float]:
        """The requested ones of ``full_train_loss full_grad_norm hessian_max hessian_min`` of the current weights.

        A learner leaves out measurements that it cannot make; the default makes none.
        """
        return {}

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, so that `load_state_dict` resumes bit for bit."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state from `state_dict`."""


class Workload(ABC):
    """An architecture on a data set with its loss, metric and full budget; the base class of all workloads.

    See `trainables.workloads.learning.supervised` for the usual kind. A workload is built once a process and shared by
    the trials there: it holds the data, learners hold the weights. Building one is cheap: the first learner loads the
    data. Its constructor's keyword arguments are the parameters that a study file may set; positional-only ones take
    the parts of a name such as ``resnet20/cifar10``.

    Attributes:
        full_budget: Iterations of the full training recipe; percentages in a study file refer to it.
        objective: The default objective, ``val_loss`` or ``val_metric``.
        metric_name: The metric's name, such as ``accuracy``.
        metric_mode: Whether the metric is better when larger (``max``) or smaller (``min``).
        base_lr: Default range of the base LR for each supported optimizer.
        deterministic: Whether the result does not depend on the seed.
    """

    full_budget: int
    objective: Literal["val_loss", "val_metric"] = "val_loss"
    metric_name: str = "accuracy"
    metric_mode: Literal["min", "max"] = "max"
    base_lr: Mapping[str, tuple[float, float]]
    deterministic: bool = False

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """The parameters that a study file may set, with their defaults; `inspect.Parameter.empty` where it must."""
        return {
            key: parameter.default
            for key, parameter in inspect.signature(cls).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }

    @classmethod
    def build(cls, spec: Spec, *parts: str) -> Self:
        """The workload of a study file's entry, whose parameters must be among `parameters`.

        Args:
            spec: The entry.
            parts: The parts of its name that the constructor takes.
        """
        return cls(*parts, **spec.params)

    def check(self, optimizer: Spec) -> None:
        """Checks that trials with this optimizer can start; cheap, called before a search starts.

        Raises:
            InputError: An optimizer's option is unknown or out of its range, or data is missing; the message then
                says how to get it.
        """
        for key in optimizer.params:
            raise InputError(f"optimizers.{optimizer.name}.{key}: unknown option; this workload takes none")

    @abstractmethod
    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        """A fresh learner.

        Args:
            optimizer: One of the keys of ``base_lr``, with or without options.
            seed: Decides initial weights and batch order.
            horizon: The budget in iterations, for learners that schedule more than the LR over it.
            device: A torch device.
        """
