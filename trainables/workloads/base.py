"""What a workload is: an architecture on a data set with its loss, metric and full budget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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


class Learner(ABC):
    """What one trial trains: weights, optimizer state and the running average (`average_weight`) of the weights."""

    @abstractmethod
    def step(self, lr: float) -> float:
        """One iteration at learning rate ``lr``; returns its training loss (before the update)."""

    @abstractmethod
    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        """Loss and metric over a split, of the weights or of their average."""

    @abstractmethod
    def norms(self) -> Norms:
        """Norms of the last step's gradient and of the weights."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; `load_state_dict` goes on bit for bit."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""


class Workload(ABC):
    """Subclass this to add a workload; see `trainables.workloads.supervised` for the usual kind.

    A workload is built once a process and shared by the trials there: data sits on it, weights do not.
    Its constructor's keyword arguments are the parameters a study file may give.

    Attributes:
        full_budget: Iterations of the full training recipe; percentages in a study file refer to it.
        objective: What is tuned by default, ``val_loss`` or ``val_metric``.
        metric_name: The metric's name, such as ``accuracy``.
        metric_mode: Whether the metric is better when larger (``max``) or smaller (``min``).
        base_lr: Default range of the base LR for each supported optimizer.
        deterministic: Whether the seed changes nothing.
    """

    full_budget: int
    objective: Literal["val_loss", "val_metric"] = "val_loss"
    metric_name: ClassVar[str] = "accuracy"
    metric_mode: ClassVar[Literal["min", "max"]] = "max"
    base_lr: ClassVar[dict[str, tuple[float, float]]]
    deterministic: ClassVar[bool] = False

    @abstractmethod
    def learner(self, optimizer: str, seed: int, horizon: int, device: str = "cpu") -> Learner:
        """A fresh learner.

        Args:
            optimizer: One of the keys of ``base_lr``.
            seed: Decides initial weights and batch order.
            horizon: The budget in iterations, for what else is scheduled over it.
            device: A torch device.
        """
