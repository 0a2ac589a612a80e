"""Residual networks for small images (He, Zhang, Ren, Sun; arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WIDTHS = (16, 32, 64)


def resnet(depth: int, outputs: int, inputs: int = 3) -> nn.Sequential:
    """A 3×3 convolution, three stages of basic blocks with 16, 32 and 64 channels, global average, linear head.

    Shortcuts are the paper's option A, which it uses for CIFAR-10: identities without parameters. ResNet-20 has 0.27
    million parameters. Takes [batch, inputs, height, width].

    Args:
        depth: 6n + 2, for n blocks a stage; the paper has 20, 32, 44, 56 and 110.
        outputs: Number of classes.
        inputs: Channels of the images.

    Raises:
        ValueError: Depth is not 6n + 2 with n of at least 1.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth must be 6n + 2 with n of at least 1, not {depth}")
    layers: list[nn.Module] = [_conv(inputs, _WIDTHS[0]), nn.BatchNorm2d(_WIDTHS[0]), nn.ReLU()]
    width = _WIDTHS[0]
    for stage_width in _WIDTHS:
        layers.append(nn.Sequential(*(_Block(width if i == 0 else stage_width, stage_width) for i in range(blocks))))
        width = stage_width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs))


class _Block(nn.Module):
    """Two 3×3 convolutions around an identity; where channels are added, both have stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added = outputs - inputs
        self.conv1 = _conv(inputs, outputs, self.stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Every second row and column, and zeros in the added channels."""
        if not self.added:
            return x
        strided = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(strided, (0, 0, 0, 0, 0, self.added))


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
