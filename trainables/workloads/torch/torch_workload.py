"""Workloads around a torch model: what a trial needs to know of the model and its data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.optimizers import check_optimizer
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Learner, Split, Workload
from phitune.trainables.workloads.torch.recipe import Recipe
from phitune.trainables.workloads.torch.seeding import seeded, step_seed

Batch = tuple[Tensor, Tensor]
"""Inputs [batch, ...] and targets [batch, ...]."""

DEFAULT_BASE_LR: Mapping[str, tuple[float, float]] = {
    "sgd": (0.001, 1.0),
    "adam": (1e-4, 0.1),
    "adamw": (1e-4, 0.1),
    "amsgrad": (1e-4, 0.1),
    "schedulefree-sgd": (0.01, 10.0),
    "schedulefree-adamw": (1e-4, 0.1),
}


class TorchWorkload(Workload):
    """A model, batches of (inputs, targets), a loss and a metric; classification unless overridden.

    For data that fits in memory as tensors, subclass `workloads.torch.supervised.SupervisedWorkload` instead.

    Attributes:
        recipe: Batch size, weight decay and so on; a class sets its own, a study file may change any of it.
        decay_vectors: Whether weight decay also holds for biases, gains and other one-dimensional parameters: the
            custom for CIFAR networks, not for transformers.
    """

    recipe: Recipe = Recipe()
    decay_vectors: bool = True
    base_lr: Mapping[str, tuple[float, float]] = DEFAULT_BASE_LR

    @abstractmethod
    def model(self) -> nn.Module:
        """A freshly initialised model; called with torch's generator seeded by the trial."""

    def fresh_model(self, device: str) -> nn.Module:
        """`model` on a device, in the recipe's precision."""
        model = self.model().to(device)
        return model.double() if self.recipe.precision == "fp64" else model

    def precise(self, batch: Batch) -> Batch:
        """A batch whose inputs, and targets that are numbers to be met, are in the recipe's precision."""
        if self.recipe.precision != "fp64":
            return batch
        inputs, targets = (part.double() if part.is_floating_point() else part for part in batch)
        return inputs, targets

    @abstractmethod
    def batch(self, seed: int, step: int, device: str) -> Batch:
        """The training batch of a step (from 0): a pure function of seed and step, so that resuming needs no state.

        Torch's generators are seeded from the two when a learner calls it, for random transforms that draw from them.
        """

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        """The training batches of several trials, each at its step, [trials, batch, ...].

        Override it where they can be had faster than one after another; it must give what `batch` gives.
        """
        parts = []
        for seed, step in zip(seeds, steps, strict=True):
            with seeded(step_seed(seed, step), device):
                parts.append(self.batch(seed, step, device))
        inputs, targets = map(torch.stack, zip(*parts, strict=True))
        return inputs, targets

    @abstractmethod
    def chunks(self, split: Split, device: str) -> Iterator[Batch]:
        """All examples of a split, without augmentation, in chunks that fit on the device; always in the same order."""

    def forward(self, model: Callable[..., Tensor], inputs: Tensor) -> Tensor:
        """The outputs of `model`; override for models that take more than one tensor."""
        return model(inputs)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch, a scalar tensor."""
        return nn.functional.cross_entropy(outputs, targets)

    def training_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss that is trained; `loss`, with label smoothing if the recipe has any."""
        if not self.recipe.label_smoothing:
            return self.loss(outputs, targets)
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=self.recipe.label_smoothing)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean metric of a batch, a scalar tensor."""
        return (outputs.argmax(-1) == targets).float().mean()

    def check(self, optimizer: Spec) -> None:
        check_optimizer(optimizer)
        own_loss = type(self).loss is not TorchWorkload.loss
        if self.recipe.label_smoothing and own_loss and type(self).training_loss is TorchWorkload.training_loss:
            raise InputError(
                f"workloads.label_smoothing: {self.recipe.label_smoothing!r} is not allowed; {type(self).__name__} has "
                "a loss of its own, without smoothing, so it must be 0"
            )

    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        from phitune.trainables.workloads.torch.torch_learner import TorchLearner

        return TorchLearner(self, optimizer, seed, device)

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        return {**super().parameters(), **asdict(cls.recipe)}

    @classmethod
    def build(cls, spec: Spec, *parts: str) -> Self:
        given = spec.params
        recipe = {key: given.pop(key) for key in Recipe.names() if key in given}
        built = cls(*parts, **given)
        built.recipe = built.recipe.changed(recipe)
        return built
