"""Random crops and mirrored images for a whole batch at once, on its device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def random_crops(images: Tensor, rng: np.random.Generator, pad: int, flip: bool) -> Tensor:
    """Each image, padded with black on all sides, seen through a window of its own size at a random place.

    Args:
        images: [batch, channels, height, width], of any type; 0 is black.
        rng: The only source of chance.
        pad: Pixels on each side.
        flip: Whether each image is also mirrored left to right with probability ½.
    """
    count = len(images)
    top, left = rng.integers(0, 2 * pad + 1, (2, count))
    mirrored = rng.integers(0, 2, count) if flip else np.zeros(count, dtype=np.int64)
    places = torch.from_numpy(np.stack([top, left, mirrored])).to(images.device)
    return crops(images, places[0], places[1], places[2] > 0, pad)


def crops(images: Tensor, top: Tensor, left: Tensor, mirrored: Tensor, pad: int) -> Tensor:
    """The windows at given places of the padded images; ``top left mirrored`` are [batch]."""
    channels, height, width = images.shape[1:]
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    rows = top[:, None] + torch.arange(height, device=images.device)
    forth = torch.arange(width, device=images.device)
    columns = left[:, None] + torch.where(mirrored[:, None], forth.flip(0), forth)
    # One gather over flat pixels: four times as fast as one over rows and one over columns.
    pixels = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    return padded.flatten(2).gather(2, pixels.flatten(1)[:, None].expand(-1, channels, -1)).view_as(images)
