"""Small data sets of pictures in the published formats, and the workloads on them."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import datasets

from phitune.trainables.spec import Spec, Value
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.vision import Vision

SGD = Spec("sgd")
Pixels = NDArray[np.uint8]
Listing = dict[str, object]
"""Attributes of one of torchvision's classes: the names and checksums of the files written here."""


def vision(name: str, **params: Value) -> Vision:
    built = workload(Spec.of({"name": name, **params}))
    assert isinstance(built, Vision)
    return built


def pictures(count: int, channels: int, size: int, seed: int, classes: int = 10) -> tuple[Pixels, Pixels]:
    """Noise with a bright bar at a height that is the class's; every class equally often."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes).astype(np.uint8)
    images = rng.integers(0, 100, (count, channels, size, size), dtype=np.uint8)
    thick = size // classes
    for image, label in zip(images, labels, strict=True):
        image[:, label * thick : (label + 1) * thick] += 150
    return images, labels


def idx(array: Pixels) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(root: Path) -> None:
    """MNIST and Fashion-MNIST, 400 and 100 images each."""
    for name in ("MNIST", "FashionMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for kind, count in (("train", 400), ("t10k", 100)):
            images, labels = pictures(count, 1, 28, seed=count)
            (raw / f"{kind}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
            (raw / f"{kind}-labels-idx1-ubyte").write_bytes(idx(labels))


def written(path: Path, content: bytes) -> list[str]:
    """Name and checksum, as torchvision lists them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [path.name, hashlib.md5(content).hexdigest()]


def write_cifar(root: Path) -> dict[type, Listing]:
    """CIFAR-10 and CIFAR-100, 5 batches of 40 and one of 1000 images."""
    kinds = (("CIFAR10", "data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5", "test_batch", 40, 10),
             ("CIFAR100", "train", "test", 1000, 100))  # fmt: skip
    listings: dict[type, Listing] = {}
    for name, train, test, count, classes in kinds:
        cls = getattr(datasets, name)
        files = []
        for seed, file in enumerate([*train.split(), test]):
            images, labels = pictures(count, 3, 32, seed, classes)
            key = "labels" if classes == 10 else "fine_labels"
            batch = pickle.dumps({"data": images.reshape(count, -1), key: labels.tolist()})
            files.append(written(root / cls.base_folder / file, batch))
        names = pickle.dumps({cls.meta["key"]: [str(i) for i in range(classes)]})
        _, checksum = written(root / cls.base_folder / cls.meta["filename"], names)
        listings[cls] = {"train_list": files[:-1], "test_list": files[-1:], "meta": {**cls.meta, "md5": checksum}}
    return listings


def folder_of_images(root: Path, splits: dict[str, int]) -> str:
    """Red, green and blue images of odd sizes; so many of each class in each split."""
    for split, count in splits.items():
        for channel, name in enumerate(("red", "green", "blue")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.random.default_rng(i).integers(0, 60, (20 + i % 3, 30, 3), dtype=np.uint8)
                pixels[..., channel] += 180
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return str(root)


def whole(built: Vision, split: str) -> tuple[Tensor, Tensor]:
    """A split as it is evaluated."""
    parts = list(built.chunks(split, "cpu"))  # type: ignore[arg-type]
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def as_stored(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}
