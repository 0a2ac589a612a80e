"""A model, its batches, a loss and a metric: what a `TorchLearner` trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.device import seeded, step_seed
from phitune.trainables.workloads.learning.recipe import Recipe

Batch = tuple[Tensor, Tensor]
"""Inputs [batch, ...] and targets [batch, ...]."""


class TorchProblem(ABC):
    """A model, batches of (inputs, targets), a loss and a metric; classification unless overridden.

    Attributes:
        recipe: Batch size, weight decay and so on; a class sets its own, a study file may change any of it.
        decay_vectors: Whether weight decay also holds for biases, gains and other one-dimensional parameters: the
            custom for CIFAR networks, not for transformers.
    """

    recipe: Recipe = Recipe()
    decay_vectors: bool = True

    @abstractmethod
    def model(self) -> nn.Module:
        """A freshly initialised model; called with torch's generator seeded by the trial."""

    def fresh_model(self, device: str) -> nn.Module:
        """`model` on a device, in the recipe's precision."""
        model = self.model().to(device)
        return model.double() if self.recipe.precision == "fp64" else model

    def precise(self, batch: Batch) -> Batch:
        """The batch with its floating-point tensors in the recipe's precision."""
        if self.recipe.precision != "fp64":
            return batch
        inputs, targets = (part.double() if part.is_floating_point() else part for part in batch)
        return inputs, targets

    @abstractmethod
    def batch(self, seed: int, step: int, device: str) -> Batch:
        """The training batch of a step (from 0): a pure function of seed and step, so that resuming needs no state.

        A learner calls it with torch's generators seeded from the two, for random transforms that draw from them.
        """

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        """The training batches of several trials, each at its own step, [trials, batch, ...].

        Override it where there is a faster way than one `batch` after another; the values must be those of `batch`.
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
        """The loss that is trained: `loss`, with label smoothing if the recipe has any."""
        if not self.recipe.label_smoothing:
            return self.loss(outputs, targets)
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=self.recipe.label_smoothing)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean metric of a batch, a scalar tensor."""
        return (outputs.argmax(-1) == targets).float().mean()
