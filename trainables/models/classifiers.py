"""Image classifiers by the names a study file uses: those written here, and torchvision's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from phitune.trainables.errors import InputError
from phitune.trainables.models.cnn import cnn
from phitune.trainables.models.mlp import mlp
from phitune.trainables.models.resnet import resnet
from phitune.trainables.models.stems import (
    has_auxiliary_outputs,
    has_cifar_stem,
    torchvision_names,
    torchvision_network,
)
from phitune.trainables.models.vit import VisionTransformer
from phitune.trainables.suggestion import did_you_mean

STEMS = ("auto", "cifar", "imagenet")
_LARGEST_SMALL_IMAGE = 64
_WITHOUT_VECTOR_DECAY = ("vit", "swin", "maxvit", "convnext")


def _written_here(depth: int) -> Callable[[int, int, int], nn.Module]:
    return lambda channels, size, outputs: resnet(depth, outputs, channels)


# From channels, size and number of classes. 6n + 2 is also the depth of torchvision's ResNet-50 and ResNet-152.
_OURS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "mlp": lambda channels, size, outputs: mlp(channels * size * size, (512, 512), outputs),
    "cnn": lambda channels, size, outputs: cnn((32, 64, 128), outputs, channels),
    **{f"resnet{depth}": _written_here(depth) for depth in (8, 14, 20, 32, 44, 56, 110)},
    "vit-tiny": lambda channels, size, outputs: VisionTransformer(size, outputs, channels),
}


def check_classifier(architecture: str, channels: int, size: int, outputs: int, stem: str) -> None:
    """Whether `classifier` can build a network that takes such images; tried without memory for its weights.

    Raises:
        InputError: Unknown architecture, a stem that it does not have, or images that are too small for it.
    """
    with torch.device("meta"), torch.no_grad(), torch.random.fork_rng(devices=[]):
        images = torch.empty(2, input_channels(architecture, channels), size, size)
        try:
            classifier(architecture, channels, size, outputs, stem)(images)
        except InputError:
            raise
        except NotImplementedError:
            return  # RegNets compute their widths while they are built, which needs memory.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise InputError(
                f"workloads: {architecture} does not take images of {size}×{size} with stem={stem} ({reason})"
            ) from error


def classifier(architecture: str, channels: int, size: int, outputs: int, stem: str = "auto") -> nn.Module:
    """A freshly initialised classifier; takes [batch, `input_channels`, size, size], gives [batch, outputs].

    Args:
        architecture: ``mlp`` (two hidden layers of 512), ``cnn`` (three convolutions), ``resnet8`` to ``resnet110``
            (He et al.'s for CIFAR-10), ``vit-tiny``, or the name of a classification network of torchvision.
        channels: Channels of the images.
        size: Height and width of the images.
        outputs: Number of classes.
        stem: For torchvision's networks; ``auto`` is ``cifar`` up to 64 pixels and ``imagenet`` above.

    Raises:
        InputError: Unknown architecture, or a stem that it does not have.
    """
    if architecture in _OURS:
        if stem != "auto":
            raise InputError(f"workloads.stem: {stem!r} is not allowed; {architecture} has one stem, leave it out")
        return _OURS[architecture](channels, size, outputs)
    require_known(architecture)
    if stem == "auto":
        stem = "cifar" if size <= _LARGEST_SMALL_IMAGE else "imagenet"
    if stem == "cifar" and not has_cifar_stem(architecture):
        raise InputError(
            f"workloads.stem: {architecture} has no stem for images of {size}×{size}; write stem: imagenet to have it "
            "as in torchvision, or choose another architecture"
        )
    return torchvision_network(architecture, size, outputs, stem)


def input_channels(architecture: str, channels: int) -> int:
    """The channels a classifier takes: those of the images if written here, always 3 if torchvision's."""
    return channels if architecture in _OURS else 3


def decays_vectors(architecture: str) -> bool:
    """Whether weight decay also holds for biases and gains: the custom for convnets, not for transformers."""
    return not architecture.startswith(_WITHOUT_VECTOR_DECAY)


def require_known(architecture: str) -> None:
    """Whether there is an architecture of that name.

    Raises:
        InputError: There is none, or it has auxiliary outputs.
    """
    if architecture in _OURS:
        return
    if has_auxiliary_outputs(architecture):
        raise InputError(f"workloads: {architecture} is not supported, because it trains auxiliary outputs too")
    theirs = torchvision_names()
    if architecture in theirs:
        return
    hint = did_you_mean(architecture, [*_OURS, *theirs])
    raise InputError(
        f"workloads: unknown architecture {architecture!r};{hint} architectures: {', '.join(_OURS)}, and those of "
        "torchvision.models, such as resnet18"
    )
