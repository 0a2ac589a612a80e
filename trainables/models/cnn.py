"""A small convolutional network."""

from __future__ import annotations

from torch import nn


def cnn(channels: tuple[int, ...], outputs: int, inputs: int = 1) -> nn.Sequential:
    """3×3 convolutions of stride 2, each with batch normalisation and ReLU; 2×2 averages, linear head.

    Takes [batch, inputs, height, width].
    """
    layers: list[nn.Module] = []
    width = inputs
    for channel in channels:
        layers += [nn.Conv2d(width, channel, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channel), nn.ReLU()]
        width = channel
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, outputs))
