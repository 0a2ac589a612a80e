"""A user's own images: a folder a class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import ImageFolder

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.images import HELD_OUT, UnreadableImages, held_out
from phitune.trainables.workloads.learning.supervised import Data

_LAYOUT = "images are expected as train/CLASS/NAME.png, and in val/ and test/ likewise if there are any"
_Files = list[tuple[str, int]]


@dataclass(frozen=True)
class FolderImages:
    """``root/train/CLASS/*.png`` (or jpg and so on), as torchvision's `ImageFolder`; see `ImageSource`.

    All images become RGB of one size and sit in memory: the shorter side is resized, then the centre cropped. Where
    ``root/val`` or ``root/test`` is missing, a tenth of the training images takes its place, stratified and the same
    in every process.

    Attributes:
        root: The folder.
        size: Height and width to make of the images.
    """

    root: str
    size: int
    channels: ClassVar[int] = 3
    epochs: ClassVar[int] = 90  # ResNet-50 on ImageNet, arXiv 2107.04197
    flip: ClassVar[bool] = True

    @property
    def pad(self) -> int:
        return self.size // 8

    @property
    def classes(self) -> int:
        return self._files[1]

    @property
    def examples(self) -> int:
        return len(self._files[0]["train"])

    def check(self) -> None:
        _ = self._files

    def read(self) -> dict[Split, Data]:
        return {
            name: Data(_pixels([file for file, _ in files], self.size), torch.tensor([label for _, label in files]))
            for name, files in self._files[0].items()
        }

    @cached_property
    def _files(self) -> tuple[dict[Split, _Files], int]:
        """The files of each split with their classes, and the number of classes."""
        root = Path(self.root).resolve()
        names, train = _listed(root / "train")
        splits: dict[Split, _Files] = {"train": train}
        count = len(train) // HELD_OUT
        others: tuple[Split, ...] = ("test", "val")
        for split in others:
            if (root / split).is_dir():
                classes, splits[split] = _listed(root / split)
                if classes != names:
                    odd = ", ".join(sorted(set(names) ^ set(classes)))
                    raise UnreadableImages(f"{str(root / split)!r} has not the classes of train/ (differing: {odd})")
                continue
            try:
                indices = held_out(torch.tensor([label for _, label in splits["train"]]), count)
            except ValueError as error:
                raise UnreadableImages(
                    f"too few images of a class in {str(root / 'train')!r} to hold some out ({error}); add {split}/"
                ) from error
            splits["train"], splits[split] = ([splits["train"][i] for i in part.tolist()] for part in indices)
        return splits, len(names)


def _listed(folder: Path) -> tuple[list[str], _Files]:
    """The classes in a folder, and its files with the number of their class."""
    try:
        images = ImageFolder(str(folder))
    except FileNotFoundError as error:
        reason = str(error).splitlines()[0]
        raise UnreadableImages(f"no images in {str(folder)!r} ({reason}); {_LAYOUT}") from error
    return images.classes, images.samples


def _pixels(files: list[str], size: int) -> Tensor:
    """Bytes [n, 3, size, size]."""
    pixels = torch.empty((len(files), 3, size, size), dtype=torch.uint8)

    def read(index: int) -> None:
        try:
            with Image.open(files[index]) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableImages(f"{files[index]!r} is not a readable image ({error})") from error
        pixels[index] = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(read, range(len(files))))
    return pixels
