"""Image workloads on noise, to time them on machines without the data set."""

from __future__ import annotations

import numpy as np
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.images import PublishedImages
from phitune.trainables.workloads.learning.supervised import Data
from phitune.trainables.workloads.registry import workload
from phitune.trainables.workloads.vision import Vision


class SyntheticVision(Vision):
    """A workload of `Vision` with noise in place of a published data set: as many images, of the same size."""

    def _image_source(self, dataset: str, root: str, size: int | None) -> PublishedImages:
        source = super()._image_source(dataset, root, size)
        if not isinstance(source, PublishedImages):
            raise InputError(f"synthetic: {dataset} is not allowed; only published images are made up")
        return _Noise(**vars(source))


class _Noise(PublishedImages):
    def check(self) -> None:
        pass

    def read(self) -> dict[Split, Data]:
        rest = self.published - self.examples
        sizes: dict[Split, int] = {"train": self.examples, "val": rest, "test": rest}
        random = np.random.default_rng(0)
        return {split: self._images(count, random) for split, count in sizes.items()}

    def _images(self, count: int, random: np.random.Generator) -> Data:
        shape = (count, self.channels, self.size, self.size)
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        return Data(torch.from_numpy(pixels), torch.from_numpy(random.integers(0, self.classes, count)))


def synthetic(spec: Spec) -> SyntheticVision:
    """The workload of a study file's entry, on noise.

    Raises:
        InputError: Its images are not those of a published data set.
    """
    if type(workload(spec)) is not Vision:
        raise InputError(f"synthetic: {spec.name} is not allowed; only published images are made up")
    return SyntheticVision.build(spec, *spec.name.split("/"))
