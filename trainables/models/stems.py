"""torchvision's classification networks by name, with a stem that suits the size of the images."""

from __future__ import annotations

from torch import nn
from torchvision import models

# Where a kind of network (the start of its name) has the convolution and the pooling that its input meets first.
_STEMS: dict[str, tuple[str, str | None]] = {
    "resnet": ("conv1", "maxpool"),
    "resnext": ("conv1", "maxpool"),
    "wide_resnet": ("conv1", "maxpool"),
    "densenet": ("features.conv0", "features.pool0"),
    "shufflenet": ("conv1.0", "maxpool"),
    "squeezenet": ("features.0", "features.2"),
    "convnext": ("features.0.0", None),
    "efficientnet": ("features.0.0", None),
    "mobilenet": ("features.0.0", None),
    "mnasnet": ("layers.0", None),
    "regnet": ("stem.0", None),
    "vgg": ("features.0", None),
}
# The kinds that are built for one size of images, and the parameter that takes it.
_SIZED = {"vit": "image_size", "maxvit": "input_size"}
_AUXILIARY = ("googlenet", "inception_v3")


def torchvision_names() -> list[str]:
    """torchvision's classification networks, but for those with auxiliary outputs."""
    return [name for name in models.list_models(module=models) if name not in _AUXILIARY]


def has_auxiliary_outputs(name: str) -> bool:
    """Whether a network of torchvision gives more than one output while training."""
    return name in _AUXILIARY


def has_cifar_stem(name: str) -> bool:
    """Whether `torchvision_network` can give a network the stem for small images."""
    return _kind(name, _STEMS) is not None


def torchvision_network(name: str, size: int, outputs: int, stem: str) -> nn.Module:
    """A freshly initialised network of torchvision; takes [batch, 3, size, size].

    Args:
        name: One of `torchvision_names`.
        size: Height and width of the images.
        outputs: Number of classes.
        stem: ``imagenet`` as torchvision has it; ``cifar`` with a 3×3 first convolution of stride 1 and without the
            pooling after it, as is the custom for images of 32×32 (such as in arXiv 1905.04753).
    """
    options = {}
    if sized := _kind(name, _SIZED):
        options[_SIZED[sized]] = size if sized == "vit" else (size, size)
    network: nn.Module = models.get_model(name, weights=None, num_classes=outputs, **options)
    if stem == "cifar":
        convolution, pooling = _STEMS[_kind(name, _STEMS) or ""]
        network.set_submodule(convolution, _small(network.get_submodule(convolution)))
        if pooling is not None:
            network.set_submodule(pooling, nn.Identity())
    return network


def _kind(name: str, kinds: dict[str, object] | dict[str, str] | dict[str, tuple[str, str | None]]) -> str | None:
    return next((kind for kind in kinds if name.startswith(kind)), None)


def _small(module: nn.Module) -> nn.Module:
    """A convolution made 3×3 with stride 1; its weights, if already 3×3, are as they were."""
    assert isinstance(module, nn.Conv2d)
    small = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1, bias=module.bias is not None)
    if module.kernel_size == (3, 3):
        small.load_state_dict(module.state_dict())
    else:
        nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    return small
