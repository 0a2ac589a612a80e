"""Random crops and mirroring: against one image at a time, and by their frequencies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phitune.trainables.workloads.data.augmentation import crops, random_crops
from tests.trainables.workloads.pictures import vision, whole


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
    built = vision("resnet8/cifar10", root=cifar)
    inputs = built.split("train", "cpu").inputs[:64]
    before = inputs.clone()
    first, same, other = (built.augment(inputs, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, same) and not torch.equal(first, other) and not torch.equal(first, before)
    assert torch.equal(inputs, before)


def test_digits_are_not_mirrored(mnist: str) -> None:
    """A mirrored one would not be a window of the padded original."""
    built = vision("cnn/fashion-mnist", root=mnist)
    inputs = built.split("train", "cpu").inputs[:40]
    for before, after in zip(inputs, built.augment(inputs, np.random.default_rng(0)), strict=True):
        windows = torch.nn.functional.pad(before[0], (4, 4, 4, 4)).unfold(0, 28, 1).unfold(1, 28, 1).flatten(0, 1)
        assert (windows == after[0]).flatten(1).all(1).any()


def test_evaluation_is_not_augmented(cifar: str) -> None:
    built = vision("resnet8/cifar10", root=cifar)
    before = whole(built, "train")[0].clone()
    batches = [built.batch(0, step, "cpu")[0] for step in (0, 1)]
    assert not torch.equal(batches[0], batches[1])
    after, _ = whole(built, "train")
    assert torch.equal(after, before)
    assert torch.equal(after, built.preprocess(built.data()["train"].inputs))
