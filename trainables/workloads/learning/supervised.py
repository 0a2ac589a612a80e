"""Workloads whose data fits in memory: one tensor of inputs and one of targets a split."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.device import to_device
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


@dataclass(frozen=True, eq=False)
class Data:
    """One split: inputs [n, ...] and targets [n, ...]."""

    inputs: Tensor
    targets: Tensor

    def to(self, device: str) -> Data:
        return Data(self.inputs.to(device), self.targets.to(device))

    def __len__(self) -> int:
        return len(self.targets)


class SupervisedWorkload(TorchWorkload):
    """Batches drawn without replacement within an epoch, from tensors that sit on the device.

    A subclass sets ``full_budget`` and defines `data` and `model`; for other than classification `loss` and
    `metric` too.

    Attributes:
        chunk: Number of examples evaluated at once.
    """

    chunk: int = 2000

    @abstractmethod
    def data(self) -> dict[Split, Data]:
        """``train``, ``val`` and ``test``; called once a process."""

    def preprocess(self, inputs: Tensor) -> Tensor:
        """Converts stored inputs to the model's, on the device: for instance bytes to standardised floats."""
        return inputs

    def augment(self, inputs: Tensor, rng: np.random.Generator) -> Tensor:
        """Random changes to a training batch of stored inputs, on the device, drawn from ``rng`` alone."""
        return inputs

    def split(self, name: Split, device: str) -> Data:
        """A split on a device, loaded and copied there once a process.

        Raises:
            ValueError: It has no examples.
        """
        key = (name, device)
        if key not in self._splits:
            if not len(self._loaded[name]):
                raise ValueError(f"the {name} split has no examples")
            self._splits[key] = self._loaded[name].to(device)
        return self._splits[key]

    def batch(self, seed: int, step: int, device: str) -> Batch:
        train = self.split("train", device)
        indices = batch_indices(seed, step, len(train), self.recipe.batch_size, device)
        inputs = train.inputs[indices]
        # A generator costs a small network a tenth of its step.
        if type(self).augment is not SupervisedWorkload.augment:
            inputs = self.augment(inputs, np.random.default_rng([seed, step, 1]))
        return self.preprocess(inputs), train.targets[indices]

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        if type(self).batch is not SupervisedWorkload.batch:
            return super().batches(seeds, steps, device)
        train = self.split("train", device)
        at = list(zip(seeds, steps, strict=True))
        rows = [_host_indices(seed, step, len(train), self.recipe.batch_size) for seed, step in at]
        indices = to_device(torch.from_numpy(np.stack(rows)), device)
        inputs = train.inputs[indices]
        if type(self).augment is not SupervisedWorkload.augment:
            inputs = self.augment_each(inputs, [np.random.default_rng([seed, step, 1]) for seed, step in at])
        inputs = self.preprocess(inputs.flatten(0, 1))
        return inputs.view(*indices.shape, *inputs.shape[1:]), train.targets[indices]

    def augment_each(self, inputs: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        """`augment` of several trials' batches, [trials, batch, ...]; override it to do all at once."""
        return torch.stack([self.augment(part, rng) for part, rng in zip(inputs, rngs, strict=True)])

    def chunks(self, split: Split, device: str) -> Iterator[Batch]:
        data = self.split(split, device)
        for start in range(0, len(data), self.chunk):
            part = slice(start, start + self.chunk)
            yield self.preprocess(data.inputs[part]), data.targets[part]

    @cached_property
    def _loaded(self) -> dict[Split, Data]:
        return self.data()

    @cached_property
    def _splits(self) -> dict[tuple[Split, str], Data]:
        return {}


def batch_indices(seed: int, step: int, count: int, size: int, device: str = "cpu") -> Tensor:
    """Indices of the examples in a step's batch: drawn without replacement within an epoch, in a new order each epoch.

    An epoch's examples beyond its last whole batch are left out.

    Args:
        seed: The trial's seed.
        step: From 0.
        count: Number of examples.
        size: Examples a batch; where there are fewer, every batch is all of them.
        device: Device of the result.

    Returns:
        Indices from 0 below ``count``, [size].
    """
    epoch, position = divmod(step, max(1, count // size))
    return _order(seed, epoch, count, device)[position * size : (position + 1) * size]


def _host_indices(seed: int, step: int, count: int, size: int) -> NDArray[np.int64]:
    """`batch_indices` on the host, cached for many trials that take turns."""
    epoch, position = divmod(step, max(1, count // size))
    return _many_orders(seed, epoch, count)[position * size : (position + 1) * size].astype(np.int64)


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int, device: str) -> Tensor:
    """The order of an epoch's examples, [count]."""
    return to_device(torch.from_numpy(_permutation(seed, epoch, count)), device)


@lru_cache(maxsize=512)
def _many_orders(seed: int, epoch: int, count: int) -> NDArray[np.uint32]:
    """`_order` on the host for as many trials as a population may hold; 100 MB for CIFAR-10."""
    return _permutation(seed, epoch, count).astype(np.uint32)


def _permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)
