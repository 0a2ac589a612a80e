"""Image classification: any architecture on CIFAR-10 and -100, (Fashion-)MNIST, STL-10 or a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.models.classifiers import (
    STEMS,
    check_classifier,
    classifier,
    decays_vectors,
    input_channels,
    require_known,
)
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.augmentation import random_crops, random_crops_each
from phitune.trainables.workloads.data.image_folder import FolderImages
from phitune.trainables.workloads.data.images import PUBLISHED, ImageSource, UnreadableImages, read_once
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload

_FOLDER_SIZE = 64
# Evaluated at once: 256 images of 32×32, on a CPU twice as fast as 1024, and never fewer than 32.
_CHUNK_PIXELS = 2**18
_SMALLEST_CHUNK = 32


class Vision(SupervisedWorkload):
    """Images in the recipe of Li et al. (arXiv 1905.04753): batch 128, weight decay 5e-4, random crops and mirroring.

    Images are bytes on the device, standardised by channel with mean and deviation of the training split. MNIST and
    Fashion-MNIST are cropped, not mirrored. For torchvision's networks their single channel is repeated three times.

    Args:
        architecture: See `trainables.models.classifiers.classifier`.
        dataset: ``cifar10 cifar100 mnist fashion-mnist stl10``, or ``images`` for `FolderImages`.
        root: The folder with the data.
        stem: ``cifar``, ``imagenet``, or ``auto``: by the size of the images.
        epochs: Of the full budget; by default 200 (CIFAR-10, STL-10), 300 (CIFAR-100), 30 (MNIST kinds), 90 (images).
        size: Height and width of the images, for ``images`` alone; by default 64.

    Raises:
        InputError: A value out of its range. Unknown architectures and missing data are errors of `check`, and of the
            first use.
    """

    def __init__(
        self,
        architecture: str,
        dataset: str,
        /,
        *,
        root: str = "data",
        stem: str = "auto",
        epochs: int | None = None,
        size: int | None = None,
    ) -> None:
        self._architecture = architecture
        self._name = f"{architecture}/{dataset}"
        if stem not in STEMS:
            allowed = ", ".join(STEMS)
            raise InputError(f"workloads.{self._name}.stem: {stem!r} is not allowed; it must be one of {allowed}")
        self._stem = stem
        self._source = self._image_source(dataset, str(Path(str(root)).expanduser()), size)
        self._epochs = self._source.epochs if epochs is None else self._whole("epochs", epochs, 1)
        self._scales: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self.chunk = max(_SMALLEST_CHUNK, _CHUNK_PIXELS // self._source.size**2)
        self.decay_vectors = decays_vectors(architecture)

    @property
    def full_budget(self) -> int:  # type: ignore[override]  # follows the batch size, which a study file may change
        with self._input_errors():
            return self._epochs * max(1, self._source.examples // self.recipe.batch_size)

    def check(self, optimizer: Spec) -> None:
        super().check(optimizer)
        # A mistyped name is reported before data that has yet to be downloaded.
        require_known(self._architecture)
        with self._input_errors():
            self._source.check()
            classes = self._source.classes
        check_classifier(self._architecture, self._source.channels, self._source.size, classes, self._stem)

    def data(self) -> dict[Split, Data]:
        with self._input_errors():
            return read_once(self._source)

    def model(self) -> nn.Module:
        source = self._source
        with self._input_errors():
            classes = source.classes
        return classifier(self._architecture, source.channels, source.size, classes, self._stem)

    def augment(self, inputs: Tensor, rng: np.random.Generator) -> Tensor:
        return random_crops(inputs, rng, self._source.pad, self._source.flip)

    def augment_each(self, inputs: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        if type(self).augment is not Vision.augment:
            return super().augment_each(inputs, rngs)
        return random_crops_each(inputs, rngs, self._source.pad, self._source.flip)

    def preprocess(self, inputs: Tensor) -> Tensor:
        if inputs.device not in self._scales:
            mean, deviation = self._statistics
            self._scales[inputs.device] = mean.to(inputs.device), deviation.to(inputs.device)
        mean, deviation = self._scales[inputs.device]
        standardised = (inputs - mean) / deviation
        # One channel becomes three without a copy where the network takes three.
        return standardised.expand(-1, input_channels(self._architecture, self._source.channels), -1, -1)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel over the training split, [channels, 1, 1]; exact, from the histogram."""
        inputs = self._loaded["train"].inputs
        counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in inputs.unbind(1)])
        share = counts.double() / counts.sum(1, keepdim=True)
        levels = torch.arange(256, dtype=torch.float64)
        mean = share @ levels
        deviation = (share @ levels**2 - mean**2).clamp(min=0).sqrt()
        deviation[deviation == 0] = 1.0
        return mean.float()[:, None, None], deviation.float()[:, None, None]

    def _image_source(self, dataset: str, root: str, size: int | None) -> ImageSource:
        if dataset == "images":
            return FolderImages(root, _FOLDER_SIZE if size is None else self._whole("size", size, 8))
        if size is not None:
            raise InputError(f"workloads.{self._name}.size: {size!r} is not allowed; only images takes a size")
        return PUBLISHED[dataset](root)

    def _whole(self, name: str, value: int, least: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            allowed = f"a whole number of at least {least}"
            raise InputError(f"workloads.{self._name}.{name}: {value!r} is not allowed; it must be {allowed}")
        return value

    @contextmanager
    def _input_errors(self) -> Iterator[None]:
        """Raises missing and corrupt data as an `InputError` that names the field with its path."""
        try:
            yield
        except UnreadableImages as error:
            raise InputError(f"workloads.{self._name}.root: {error}") from error
