"""Data sets of pictures, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from phitune.trainables.workloads.data.images import LabelledSTL10
from tests.trainables.workloads.pictures import Listing, pictures, write_cifar, write_mnist, written


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MNIST and Fashion-MNIST, 400 and 100 images each."""
    root = tmp_path_factory.mktemp("mnist")
    write_mnist(root)
    return str(root)


@pytest.fixture(scope="session")
def cifar_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[type, Listing]]:
    root = tmp_path_factory.mktemp("cifar")
    return root, write_cifar(root)


@pytest.fixture
def cifar(cifar_files: tuple[Path, dict[type, Listing]], monkeypatch: pytest.MonkeyPatch) -> str:
    """CIFAR-10 and CIFAR-100, 5 batches of 40 and one of 1000 images.

    torchvision's reader is the real one. It refuses all files but the published ones by their checksums, and those are
    too large for a test, so its list of checksums is replaced.
    """
    root, listings = cifar_files
    for cls, listing in listings.items():
        for name, value in listing.items():
            monkeypatch.setattr(cls, name, value)
    return str(root)


@pytest.fixture
def stl10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """STL-10, 100 and 20 images, none unlabelled; with checksums as in `cifar`."""
    for kind, count in (("train", 100), ("test", 20)):
        images, labels = pictures(count, 3, 96, seed=count)
        folder = tmp_path / LabelledSTL10.base_folder
        # The format stores columns first and classes from 1.
        x = written(folder / f"{kind}_X.bin", images.transpose(0, 1, 3, 2).tobytes())
        y = written(folder / f"{kind}_y.bin", (labels + 1).tobytes())
        monkeypatch.setattr(LabelledSTL10, f"{kind}_list", [x, y])
    (tmp_path / LabelledSTL10.base_folder / "fold_indices.txt").write_text("")
    return str(tmp_path)
