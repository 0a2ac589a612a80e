"""Data sets of images: splits, formats, standardisation, and errors about missing and corrupt files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.workloads.vision import Vision
from tests.trainables.workloads.pictures import SGD, as_stored, folder_of_images, pictures, vision, whole


def test_splits_are_stratified_disjoint_and_the_same_each_time(mnist: str) -> None:
    built = vision("cnn/mnist", root=mnist)
    data = built.data()
    assert {name: len(part) for name, part in data.items()} == {"train": 360, "val": 40, "test": 100}
    for part, each in ((data["train"], 36), (data["val"], 4), (data["test"], 10)):
        assert torch.bincount(part.targets).tolist() == [each] * 10
        assert part.inputs.dtype == torch.uint8
    original, _ = pictures(400, 1, 28, seed=400)
    together = as_stored(data["train"].inputs) | as_stored(data["val"].inputs)
    assert together == {image.tobytes() for image in original}
    again = Vision("cnn", "mnist", root=mnist)._source.read()
    assert all(torch.equal(again[name].inputs, data[name].inputs) for name in data)


def test_images_and_classes_stay_together(cifar: str, stl10: str, mnist: str) -> None:
    """The bright bar is where the class says, in each format."""
    for name, root in (("cifar10", cifar), ("stl10", stl10), ("fashion-mnist", mnist)):
        for part in vision(f"cnn/{name}", root=root).data().values():
            rows = part.inputs.float().mean((1, 3))
            bars = rows.unfold(1, part.inputs.shape[2] // 10, part.inputs.shape[2] // 10).mean(2)
            assert torch.equal(bars[:, :10].argmax(1), part.targets)


def test_architectures_share_the_images_of_a_process(mnist: str) -> None:
    first, second = (vision(name, root=mnist).data()["train"].inputs for name in ("cnn/mnist", "resnet8/mnist"))
    assert first.data_ptr() == second.data_ptr()


def test_inputs_are_standardised_by_the_training_split(cifar: str) -> None:
    built = vision("resnet8/cifar10", root=cifar)
    inputs, _ = whole(built, "train")
    assert inputs.shape == (180, 3, 32, 32)
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_torchvisions_networks_see_one_channel_three_times(mnist: str) -> None:
    ours, theirs = (whole(vision(f"{name}/mnist", root=mnist), "val")[0] for name in ("resnet8", "resnet18"))
    assert ours.shape[1:] == (1, 28, 28)
    assert torch.equal(theirs, ours.repeat(1, 3, 1, 1))


def test_folder_without_val_and_test_holds_some_out(tmp_path: Path) -> None:
    built = vision("cnn/images", root=folder_of_images(tmp_path, {"train": 20}), size=16, batch_size=8)
    sizes = {name: len(part) for name, part in built.data().items()}
    assert sizes == {"train": 48, "val": 6, "test": 6}
    assert built.full_budget == 90 * 6
    for part in built.data().values():
        assert part.inputs.shape[1:] == (3, 16, 16)
        # ImageFolder numbers the classes by the alphabet: blue, green, red.
        assert torch.equal(2 - part.inputs.float().mean((2, 3)).argmax(1), part.targets)


def test_folder_with_its_own_splits_keeps_them(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path, {"train": 6, "val": 2, "test": 3})
    built = vision("cnn/images", root=root, size=16)
    assert {name: len(part) for name, part in built.data().items()} == {"train": 18, "val": 6, "test": 9}
    built.check(SGD)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("cifar10", "CIFAR10"),
        ("cifar100", "CIFAR100"),
        ("mnist", "MNIST"),
        ("fashion-mnist", "FashionMNIST"),
        ("stl10", "STL10"),
    ],
)
def test_missing_data_says_how_to_get_it(dataset: str, name: str, tmp_path: Path) -> None:
    built = vision(f"resnet20/{dataset}", root=str(tmp_path))
    command = f"python -c \"from torchvision.datasets import {name}; {name}('{tmp_path}', download=True)\""
    for use in (lambda: built.check(SGD), built.data):
        with pytest.raises(InputError) as error:
            use()
        assert str(error.value).startswith(f"workloads.resnet20/{dataset}.root: no {name} in '{tmp_path}'")
        assert str(error.value).endswith(command)
        assert "\n" not in str(error.value)


def test_corrupt_data_is_refused(tmp_path: Path, cifar: str) -> None:
    shutil.copytree(cifar, tmp_path, dirs_exist_ok=True)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-9])
    built = vision("cnn/cifar10", root=str(tmp_path))
    built.check(SGD)
    with pytest.raises(
        InputError, match=r"^workloads\.cnn/cifar10\.root: CIFAR10 in .* is corrupt .*download=True"
    ) as error:
        built.data()
    assert "\n" not in str(error.value)


def test_cut_off_mnist_is_refused(tmp_path: Path, mnist: str) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (Path(mnist) / "MNIST" / "raw").iterdir():
        (raw / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"^workloads\.cnn/mnist\.root: MNIST in .* is corrupt"):
        vision("cnn/mnist", root=str(tmp_path)).data()


def test_folders_that_will_not_do_are_refused(tmp_path: Path) -> None:
    def message(root: Path) -> str:
        with pytest.raises(InputError) as error:
            vision("cnn/images", root=str(root), size=16).check(SGD)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert message(tmp_path / "none").startswith(f"workloads.cnn/images.root: no images in '{tmp_path}/none/train'")
    folder_of_images(tmp_path / "few", {"train": 3})
    assert "too few images" in message(tmp_path / "few")
    folder_of_images(tmp_path / "odd", {"train": 20, "val": 1})
    for file in (tmp_path / "odd" / "val" / "red").iterdir():
        file.unlink()
    (tmp_path / "odd" / "val" / "red").rmdir()
    assert "differing: red" in message(tmp_path / "odd")


def test_unreadable_image_is_reported_by_name(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path, {"train": 20})
    (tmp_path / "train" / "red" / "3.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"images\.root: '.*red/3\.png' is not a readable image"):
        vision("cnn/images", root=root, size=16).data()
