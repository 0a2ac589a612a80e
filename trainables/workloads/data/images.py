"""Published image data sets from a folder, as torchvision stores them; never downloaded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torchvision import datasets

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.supervised import Data

HELD_OUT = 10
"""One in ``HELD_OUT`` training images is held out where a data set has no validation or test images."""
_SPLIT_SEED = 0


class UnreadableImages(Exception):
    """Missing or corrupt images; the message is one line."""


class ImageSource(Protocol):
    """A source of images, with the properties that are known without reading any.

    Attributes:
        channels: 1 or 3.
        size: Height and width.
        epochs: Of the usual recipe.
        pad: Pixels of padding before the random crop.
        flip: Whether mirrored images are of the same class.
        classes: Number of classes.
        examples: Training images, without those held out.
    """

    @property
    def channels(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def pad(self) -> int: ...
    @property
    def flip(self) -> bool: ...
    @property
    def classes(self) -> int: ...
    @property
    def examples(self) -> int: ...
    def __hash__(self) -> int: ...

    def check(self) -> None:
        """Cheap; raises `UnreadableImages` if files are missing."""

    def read(self) -> dict[Split, Data]:
        """Bytes [n, channels, size, size] and classes [n]; raises `UnreadableImages`."""
        ...


class LabelledSTL10(datasets.STL10):  # type: ignore[misc]
    """Without the 2.6 GB of unlabelled images, whose checksum would be computed at each start."""

    train_list = datasets.STL10.train_list[:2]


@dataclass(frozen=True)
class PublishedImages:
    """One of torchvision's data sets; see `ImageSource`.

    A tenth of the training images, the same in every process and stratified, is for validation; the test images are
    the data set's own.

    Attributes:
        root: The folder that torchvision calls root.
        dataset: torchvision's class.
        published: Training images in the data set.
    """

    root: str
    dataset: type[Any]
    classes: int
    channels: int
    size: int
    published: int
    epochs: int
    pad: int = 4
    flip: bool = True

    @property
    def examples(self) -> int:
        return self.published - self.published // HELD_OUT

    def check(self) -> None:
        folder = Path(self.root)
        missing = next((file for file in self._files() if not (folder / file).is_file()), None)
        if missing:
            raise UnreadableImages(f"no {self._name} in {str(folder.resolve())!r} ({missing} is missing); {self._how}")

    def read(self) -> dict[Split, Data]:
        self.check()
        try:
            train, test = (self._split(train) for train in (True, False))
            train_index, val_index = held_out(train.targets, len(train) // HELD_OUT)
        except Exception as error:  # torchvision raises whatever its readers do: pickle, struct, assertions.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            where = str(Path(self.root).resolve())
            raise UnreadableImages(f"{self._name} in {where!r} is corrupt ({reason}); {self._how}") from error
        return {"train": subset(train, train_index), "val": subset(train, val_index), "test": test}

    def _split(self, train: bool) -> Data:
        if self.dataset is LabelledSTL10:
            images = self.dataset(self.root, split="train" if train else "test")
            return Data(torch.from_numpy(images.data), torch.from_numpy(images.labels).long())
        images = self.dataset(self.root, train=train)
        pixels = torch.as_tensor(images.data)
        pixels = pixels.unsqueeze(1) if self.channels == 1 else pixels.permute(0, 3, 1, 2).contiguous()
        return Data(pixels, torch.as_tensor(images.targets))

    def _files(self) -> list[str]:
        """The files that must be there, under the root."""
        if issubclass(self.dataset, datasets.MNIST):
            return [f"{self._name}/raw/{Path(archive).stem}" for archive, _ in self.dataset.resources]
        listed = [name for name, _ in [*self.dataset.train_list, *self.dataset.test_list]]
        meta = [self.dataset.meta["filename"]] if hasattr(self.dataset, "meta") else []
        return [f"{self.dataset.base_folder}/{name}" for name in [*listed, *meta]]

    @property
    def _name(self) -> str:
        return "STL10" if self.dataset is LabelledSTL10 else self.dataset.__name__

    @property
    def _how(self) -> str:
        name = self._name
        return (
            f"get it with: python -c \"from torchvision.datasets import {name}; {name}('{self.root}', download=True)\""
        )


_CIFAR = partial(PublishedImages, channels=3, size=32, published=50_000)
_MNIST = partial(PublishedImages, classes=10, channels=1, size=28, published=60_000, flip=False)

PUBLISHED: dict[str, Callable[[str], PublishedImages]] = {
    # Epochs of ResNet-18 in arXiv 1905.04753.
    "cifar10": partial(_CIFAR, dataset=datasets.CIFAR10, classes=10, epochs=200),
    # Epochs of VGG-16 in arXiv 2107.04197.
    "cifar100": partial(_CIFAR, dataset=datasets.CIFAR100, classes=100, epochs=300),
    # Epochs of WRN-16-8 in arXiv 2107.04197; padding is an eighth of the size, as for CIFAR.
    "stl10": partial(
        PublishedImages, dataset=LabelledSTL10, classes=10, channels=3, size=96, published=5_000, epochs=200, pad=12
    ),
    # The papers have no classifier here: the epochs are ours.
    "mnist": partial(_MNIST, dataset=datasets.MNIST, epochs=30),
    "fashion-mnist": partial(_MNIST, dataset=datasets.FashionMNIST, epochs=30),
}
"""The data sets from their root, by the names a study file uses."""


@lru_cache(maxsize=2)
def read_once(source: ImageSource) -> dict[Split, Data]:
    """The images of a source, shared by the architectures that a process trains on them."""
    return source.read()


def held_out(targets: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices of the examples that stay and of those held out, stratified and always the same.

    Raises:
        ValueError: A class would be missing on one side.
    """
    rest, held = train_test_split(
        np.arange(len(targets)), test_size=count, random_state=_SPLIT_SEED, stratify=targets.numpy()
    )
    return torch.from_numpy(rest), torch.from_numpy(held)


def subset(data: Data, index: Tensor) -> Data:
    """The examples at some indices."""
    return Data(data.inputs[index], data.targets[index])
