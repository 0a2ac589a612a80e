"""A small convolutional network."""

from __future__ import annotations

from torch import nn


def cnn(channels: tuple[int, ...], outputs: int, inputs: int = 1) -> nn.Sequential:
    """3×3 convolutions, each with ReLU and 2×2 max pooling, global average, linear head.

    Takes [batch, inputs, height, width] with height and width at least ``2 ** len(channels)``.
    """
    layers: list[nn.Module] = []
    width = inputs
    for channel in channels:
        layers += [nn.Conv2d(width, channel, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        width = channel
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs))
