"""Vision workloads on made data sets in the published formats: data, recipe, augmentation, training, bad input."""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import datasets

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec, Value
from phitune.trainables.testing.workloads import Entry, WorkloadConformance
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.data.augmentation import crops, random_crops
from phitune.trainables.workloads.data.images import LabelledSTL10
from phitune.trainables.workloads.vision import Vision

SGD = Spec("sgd")
Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose time to a second thread where other processes compute too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(name: str, **params: Value) -> Vision:
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


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MNIST and Fashion-MNIST, 400 and 100 images each."""
    root = tmp_path_factory.mktemp("mnist")
    for name in ("MNIST", "FashionMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for kind, count in (("train", 400), ("t10k", 100)):
            images, labels = pictures(count, 1, 28, seed=count)
            (raw / f"{kind}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
            (raw / f"{kind}-labels-idx1-ubyte").write_bytes(idx(labels))
    return str(root)


def written(path: Path, content: bytes) -> list[str]:
    """Name and checksum, as torchvision lists them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [path.name, hashlib.md5(content).hexdigest()]


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """CIFAR-10 and CIFAR-100, 5 batches of 40 and one of 1000 images.

    torchvision's reader is the real one. It refuses all files but the published ones by their checksums, and those are
    too large for a test, so it is told the checksums of these.
    """
    kinds = (("CIFAR10", "data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5", "test_batch", 40, 10),
             ("CIFAR100", "train", "test", 1000, 100))  # fmt: skip
    for name, train, test, count, classes in kinds:
        cls = getattr(datasets, name)
        listed = []
        for seed, file in enumerate([*train.split(), test]):
            images, labels = pictures(count, 3, 32, seed, classes)
            key = "labels" if classes == 10 else "fine_labels"
            batch = pickle.dumps({"data": images.reshape(count, -1), key: labels.tolist()})
            listed.append(written(tmp_path / cls.base_folder / file, batch))
        names = pickle.dumps({cls.meta["key"]: [str(i) for i in range(classes)]})
        _, checksum = written(tmp_path / cls.base_folder / cls.meta["filename"], names)
        monkeypatch.setattr(cls, "train_list", listed[:-1])
        monkeypatch.setattr(cls, "test_list", listed[-1:])
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": checksum})
    return str(tmp_path)


@pytest.fixture
def stl10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """STL-10, 100 and 20 images, none unlabelled; torchvision is told their checksums, as in `cifar`."""
    for kind, count in (("train", 100), ("test", 20)):
        images, labels = pictures(count, 3, 96, seed=count)
        folder = tmp_path / LabelledSTL10.base_folder
        # The format stores columns first and classes from 1.
        x = written(folder / f"{kind}_X.bin", images.transpose(0, 1, 3, 2).tobytes())
        y = written(folder / f"{kind}_y.bin", (labels + 1).tobytes())
        monkeypatch.setattr(LabelledSTL10, f"{kind}_list", [x, y])
    (tmp_path / LabelledSTL10.base_folder / "fold_indices.txt").write_text("")
    return str(tmp_path)


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


# ---- data -----------------------------------------------------------------------------------------------------------


def test_splits_are_stratified_disjoint_and_the_same_each_time(mnist: str) -> None:
    built = made("cnn/mnist", root=mnist)
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
        for part in made(f"cnn/{name}", root=root).data().values():
            rows = part.inputs.float().mean((1, 3))
            bars = rows.unfold(1, part.inputs.shape[2] // 10, part.inputs.shape[2] // 10).mean(2)
            assert torch.equal(bars[:, :10].argmax(1), part.targets)


def test_architectures_share_the_images_of_a_process(mnist: str) -> None:
    first, second = (made(name, root=mnist).data()["train"].inputs for name in ("cnn/mnist", "resnet8/mnist"))
    assert first.data_ptr() == second.data_ptr()


def test_inputs_are_standardised_by_the_training_split(cifar: str) -> None:
    built = made("resnet8/cifar10", root=cifar)
    inputs, _ = whole(built, "train")
    assert inputs.shape == (180, 3, 32, 32)
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_torchvisions_networks_see_one_channel_three_times(mnist: str) -> None:
    ours, theirs = (whole(made(f"{name}/mnist", root=mnist), "val")[0] for name in ("resnet8", "resnet18"))
    assert ours.shape[1:] == (1, 28, 28)
    assert torch.equal(theirs, ours.repeat(1, 3, 1, 1))


def test_folder_without_val_and_test_holds_some_out(tmp_path: Path) -> None:
    built = made("cnn/images", root=folder_of_images(tmp_path, {"train": 20}), size=16, batch_size=8)
    sizes = {name: len(part) for name, part in built.data().items()}
    assert sizes == {"train": 48, "val": 6, "test": 6}
    assert built.full_budget == 90 * 6
    for part in built.data().values():
        assert part.inputs.shape[1:] == (3, 16, 16)
        # ImageFolder numbers the classes by the alphabet: blue, green, red.
        assert torch.equal(2 - part.inputs.float().mean((2, 3)).argmax(1), part.targets)


def test_folder_with_its_own_splits_keeps_them(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path, {"train": 6, "val": 2, "test": 3})
    built = made("cnn/images", root=root, size=16)
    assert {name: len(part) for name, part in built.data().items()} == {"train": 18, "val": 6, "test": 9}
    built.check(SGD)


# ---- recipe ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "iterations"),
    [
        ("resnet18/cifar10", 200 * 351),
        ("vgg16_bn/cifar100", 300 * 351),
        ("resnet20/stl10", 200 * 35),
        ("cnn/mnist", 30 * 421),
        ("cnn/fashion-mnist", 30 * 421),
    ],
)
def test_full_budget_is_known_without_data(name: str, iterations: int) -> None:
    assert made(name, root="nowhere").full_budget == iterations


def test_full_budget_follows_batch_size_and_epochs() -> None:
    assert made("resnet20/cifar10", batch_size=1000, epochs=3).full_budget == 3 * 45
    assert made("resnet20/cifar10", batch_size=60_000, epochs=3).full_budget == 3


def test_transformers_decay_no_vectors() -> None:
    decays = {name: made(f"{name}/cifar10").decay_vectors for name in ("resnet20", "resnet18", "vit-tiny", "swin_t")}
    assert decays == {"resnet20": True, "resnet18": True, "vit-tiny": False, "swin_t": False}


# ---- augmentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_agree_with_one_image_at_a_time(channels: int) -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(1, 256, (50, channels, 7, 9), dtype=np.uint8))
    top, left = torch.from_numpy(rng.integers(0, 5, (2, 50)))
    mirrored = torch.from_numpy(rng.random(50) < 0.5)
    for i, seen in enumerate(crops(images, top, left, mirrored, pad=2)):
        padded = np.pad(images[i].numpy(), ((0, 0), (2, 2), (2, 2)))
        window = padded[:, top[i] : top[i] + 7, left[i] : left[i] + 9]
        assert np.array_equal(seen.numpy(), window[..., ::-1] if mirrored[i] else window)


def test_every_place_and_both_directions_are_drawn() -> None:
    """Each of 5 × 5 windows with and without mirroring, about equally often; without flip none mirrored."""
    size = 5
    marks = torch.arange(1, size * size + 1, dtype=torch.uint8).reshape(1, 1, size, size)
    draws = 20_000
    padded = np.pad(marks[0, 0].numpy(), 2)
    windows = {padded[y : y + size, x : x + size].tobytes() for y in range(5) for x in range(5)}
    for flip, kinds in ((True, 50), (False, 25)):
        seen = random_crops(marks.expand(draws, -1, -1, -1), np.random.default_rng(1), pad=2, flip=flip)
        distinct, counts = torch.unique(seen.flatten(1), dim=0, return_counts=True)
        assert len(distinct) == kinds
        assert (counts - draws / kinds).abs().max() < 5 * (draws / kinds) ** 0.5
        straight = {window.numpy().tobytes() for window in distinct} & windows
        assert len(straight) == 25


def test_augmentation_is_a_function_of_the_generator_and_keeps_its_input(cifar: str) -> None:
    built = made("resnet8/cifar10", root=cifar)
    inputs = built.split("train", "cpu").inputs[:64]
    kept = inputs.clone()
    first, same, other = (built.augment(inputs, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, same) and not torch.equal(first, other) and not torch.equal(first, kept)
    assert torch.equal(inputs, kept)


def test_digits_are_not_mirrored(mnist: str) -> None:
    """A mirrored one would not be a window of the padded original."""
    built = made("cnn/fashion-mnist", root=mnist)
    inputs = built.split("train", "cpu").inputs[:40]
    for before, after in zip(inputs, built.augment(inputs, np.random.default_rng(0)), strict=True):
        windows = torch.nn.functional.pad(before[0], (4, 4, 4, 4)).unfold(0, 28, 1).unfold(1, 28, 1).flatten(0, 1)
        assert (windows == after[0]).flatten(1).all(1).any()


def test_evaluation_is_not_augmented(cifar: str) -> None:
    built = made("resnet8/cifar10", root=cifar)
    before = whole(built, "train")[0].clone()
    batches = [built.batch(0, step, "cpu")[0] for step in (0, 1)]
    assert not torch.equal(batches[0], batches[1])
    after, _ = whole(built, "train")
    assert torch.equal(after, before)
    assert torch.equal(after, built.preprocess(built.data()["train"].inputs))


# ---- training -------------------------------------------------------------------------------------------------------


def test_same_seed_same_numbers_also_after_a_resume(cifar: str) -> None:
    built = made("resnet8/cifar10", root=cifar, batch_size=32)

    def losses(seed: int) -> list[float]:
        learner = built.learner(SGD, seed, 10)
        return [float(learner.step(0.05)) for _ in range(4)]

    assert losses(0) == losses(0) != losses(1)
    learner = built.learner(SGD, 0, 10)
    for _ in range(2):
        learner.step(0.05)
    state = learner.state_dict()
    resumed = built.learner(SGD, 7, 10)
    resumed._seed = 0  # type: ignore[attr-defined]  # the batches of seed 0, the weights from the state
    resumed.load_state_dict(state)
    assert [float(resumed.step(0.05)) for _ in range(2)] == losses(0)[2:]


@pytest.mark.parametrize("name", ["mlp/cifar100", "vit-tiny/cifar10", "resnet18/cifar10", "shufflenet_v2_x0_5/cifar10"])
def test_a_step_and_an_evaluation(name: str, cifar: str) -> None:
    built = made(name, root=cifar, batch_size=8)
    built.check(SGD)
    learner = built.learner(SGD, 0, 10)
    classes = 100 if "100" in name else 10
    assert 0.3 * np.log(classes) < float(learner.step(0.01)) < 3 * np.log(classes)
    result = learner.evaluate("val")
    assert np.isfinite(result.loss) and 0 <= result.metric <= 1


def test_stl10_trains(stl10: str) -> None:
    built = made("cnn/stl10", root=stl10, batch_size=8)
    built.check(SGD)
    learner = built.learner(SGD, 0, 10)
    assert np.isfinite(float(learner.step(0.01))) and np.isfinite(learner.evaluate("test").loss)


def test_a_made_data_set_is_learnt(mnist: str) -> None:
    built = made("mlp/mnist", root=mnist, batch_size=40)
    training = Training(built, TrialConfig("sgd", 120, schedule("linear"), 0.03, 0), points=4)
    training.advance(120)
    assert training.curve[-1]["train_loss"] < 0.3 * training.curve[0]["train_loss"]
    assert training.curve[-1]["val_metric"] > 0.8
    assert training.evaluate("test")["test_metric"] > 0.8


# ---- bad input ------------------------------------------------------------------------------------------------------


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
    built = made(f"resnet20/{dataset}", root=str(tmp_path))
    command = f"python -c \"from torchvision.datasets import {name}; {name}('{tmp_path}', download=True)\""
    for use in (lambda: built.check(SGD), built.data):
        with pytest.raises(InputError) as told:
            use()
        assert str(told.value).startswith(f"workloads.resnet20/{dataset}.root: no {name} in '{tmp_path}'")
        assert str(told.value).endswith(command)
        assert "\n" not in str(told.value)


def test_corrupt_data_is_told(tmp_path: Path, cifar: str) -> None:
    batch = Path(cifar) / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-9])
    built = made("cnn/cifar10", root=cifar)
    built.check(SGD)
    with pytest.raises(
        InputError, match=r"^workloads\.cnn/cifar10\.root: CIFAR10 in .* is corrupt .*download=True"
    ) as told:
        built.data()
    assert "\n" not in str(told.value)


def test_cut_off_mnist_is_told(tmp_path: Path, mnist: str) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (Path(mnist) / "MNIST" / "raw").iterdir():
        (raw / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"^workloads\.cnn/mnist\.root: MNIST in .* is corrupt"):
        made("cnn/mnist", root=str(tmp_path)).data()


def test_folders_that_will_not_do_are_told(tmp_path: Path) -> None:
    def told(root: Path) -> str:
        with pytest.raises(InputError) as error:
            made("cnn/images", root=str(root), size=16).check(SGD)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert told(tmp_path / "none").startswith(f"workloads.cnn/images.root: no images in '{tmp_path}/none/train'")
    folder_of_images(tmp_path / "few", {"train": 3})
    assert "too few images" in told(tmp_path / "few")
    folder_of_images(tmp_path / "odd", {"train": 20, "val": 1})
    for file in (tmp_path / "odd" / "val" / "red").iterdir():
        file.unlink()
    (tmp_path / "odd" / "val" / "red").rmdir()
    assert "differing: red" in told(tmp_path / "odd")


def test_unreadable_image_is_told_by_name(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path, {"train": 20})
    (tmp_path / "train" / "red" / "3.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"images\.root: '.*red/3\.png' is not a readable image"):
        made("cnn/images", root=root, size=16).data()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"stem": "cfar"}, r"cifar10\.stem: 'cfar' is not allowed; it must be one of auto, cifar, imagenet"),
        ({"epochs": 0}, r"cifar10\.epochs: 0 is not allowed"),
        ({"epochs": 1.5}, r"cifar10\.epochs: 1\.5 is not allowed"),
        ({"size": 64}, r"cifar10\.size: 64 is not allowed; only images takes a size"),
        ({"sise": 64}, r"cifar10\.sise: unknown parameter; .*root, stem, epochs, size, batch_size"),
    ],
)
def test_bad_parameters_are_told(params: dict[str, Value], words: str) -> None:
    with pytest.raises(InputError, match=words):
        made("resnet20/cifar10", **params)


def test_unknown_architecture_is_told_before_a_search(cifar: str) -> None:
    with pytest.raises(InputError, match="unknown architecture 'resnet21'; did you mean 'resnet"):
        made("resnet21/cifar10", root="nowhere").check(SGD)


class _OnMnist(WorkloadConformance):
    network_name: ClassVar[str]

    @pytest.fixture
    def entry(self, mnist: str) -> Entry:
        return {"name": f"{self.network_name}/mnist", "root": mnist, "batch_size": 16}


class TestCnn(_OnMnist):
    network_name = "cnn"


class TestResnet8(_OnMnist):
    network_name = "resnet8"
