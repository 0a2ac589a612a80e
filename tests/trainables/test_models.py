"""Image classifiers: sizes from the papers, stems, shapes, reference twins, and messages about bad names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from phitune.trainables.errors import InputError
from phitune.trainables.models.classifiers import check_classifier, classifier, input_channels
from phitune.trainables.models.resnet import resnet
from phitune.trainables.models.stems import torchvision_names, torchvision_network
from phitune.trainables.models.vit import VisionTransformer


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnets_have_the_papers_size(depth: int, millions: float) -> None:
    """He et al. 2015, table 6."""
    assert parameters(resnet(depth, 10)) / 1e6 == pytest.approx(millions, abs=0.05 if depth == 110 else 0.005)


def test_resnet_is_the_plain_sum_of_its_parts() -> None:
    """Against torchvision's basic blocks with the same weights and the shortcut written as a loop over channels."""
    torch.manual_seed(0)
    ours: Any = resnet(8, 10).eval()
    x = torch.randn(2, 3, 16, 16)
    y = torch.relu(ours[1](ours[0](x)))
    for stage in ours[3:6]:
        for block in stage:
            shortcut = y
            if block.added:
                shortcut = torch.zeros(2, 2 * y.shape[1], y.shape[2] // 2, y.shape[3] // 2)
                for channel in range(y.shape[1]):
                    shortcut[:, channel] = y[:, channel, ::2, ::2]
            inner = torch.relu(block.norm1(block.conv1(y)))
            y = torch.relu(block.norm2(block.conv2(inner)) + shortcut)
    torch.testing.assert_close(ours(x), ours[-1](y.mean((2, 3))))


@pytest.mark.parametrize("depth", [2, 9, 18])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="6n \\+ 2"):
        resnet(depth, 10)


def test_vision_transformer_agrees_with_torchs_encoder() -> None:
    torch.manual_seed(0)
    ours: Any = VisionTransformer(8, 5, inputs=1, patch=4, width=12, depth=2, heads=3).eval()
    images = torch.randn(3, 1, 8, 8)
    x = ours.patches(images).flatten(2).mT + ours.positions
    for block in ours.blocks:
        twin: Any = nn.TransformerEncoderLayer(
            12, 3, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        ).eval()
        twin.self_attn.in_proj_weight.data, twin.self_attn.in_proj_bias.data = block.qkv.weight, block.qkv.bias
        twin.self_attn.out_proj.load_state_dict(block.out.state_dict())
        twin.linear1.load_state_dict(block.mlp[0].state_dict())
        twin.linear2.load_state_dict(block.mlp[2].state_dict())
        x = twin(x)
    torch.testing.assert_close(ours(images), ours.head(ours.norm(x).mean(1)))


def test_vit_tiny_has_deits_width_and_depth() -> None:
    width, depth, tokens = 192, 12, 64
    block = 4 * width + 12 * width**2 + 9 * width
    rest = (3 * 16 + 1) * width + tokens * width + 2 * width + 10 * (width + 1)
    assert parameters(classifier("vit-tiny", 3, 32, 10)) == depth * block + rest


def test_resnet18_with_cifar_stem() -> None:
    network: Any = classifier("resnet18", 3, 32, 10)
    assert parameters(network) == 11_173_962
    seen: list[torch.Size] = []
    network.layer1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert seen == [(2, 64, 32, 32)]


def test_large_images_get_the_stem_as_it_is() -> None:
    assert parameters(classifier("resnet18", 3, 96, 10)) == parameters(resnet18(num_classes=10))
    network: Any = classifier("resnet18", 3, 32, 10, "imagenet")
    assert network.conv1.stride == (2, 2)


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "vgg11_bn"),
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("resnext50_32x4d", "densenet121", "efficientnet_b0", "convnext_tiny", "mnasnet0_5",
                         "mobilenet_v2", "regnet_x_400mf", "squeezenet1_0")
        ),
    ],
)  # fmt: skip
def test_cifar_stems_keep_the_resolution(name: str) -> None:
    # Shapes need no numbers; RegNets cannot be built without.
    device = "cpu" if name.startswith("regnet") else "meta"
    with torch.device(device):
        network = torchvision_network(name, 32, 10, "cifar")
    convolution = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((3, 3), (1, 1), (1, 1))
    # The second convolution still sees all of the image, whatever stands between.
    shapes: list[torch.Size] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.append(inputs[0].shape)

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        assert network.eval()(torch.empty(1, 3, 32, 32, device=device)).shape == (1, 10)
    assert shapes[0][-1] == 32
    assert shapes[1][-1] == (16 if name.startswith("vgg") else 32)  # vgg pools after its first convolution


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet8", "resnet20", "vit-tiny", "mobilenet_v3_small"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), pytest.param(3, 96, marks=pytest.mark.full)])
def test_networks_take_all_data_sets(name: str, channels: int, size: int) -> None:
    check_classifier(name, channels, size, 7, "auto")
    images = torch.randn(2, input_channels(name, channels), size, size)
    assert classifier(name, channels, size, 7)(images).shape == (2, 7)


def test_impossible_classifiers_are_refused_in_one_line() -> None:
    for arguments, words in {
        ("resnet19", 3, 32, 10, "auto"): "unknown architecture 'resnet19'; did you mean 'resnet1",
        ("inception_v3", 3, 299, 10, "auto"): "inception_v3 is not supported.*auxiliary",
        ("swin_t", 3, 32, 10, "auto"): "workloads.stem: swin_t has no stem for images of 32×32",
        ("resnet20", 3, 32, 10, "imagenet"): "workloads.stem: 'imagenet' is not allowed; resnet20 has one stem",
        ("alexnet", 3, 32, 10, "imagenet"): "alexnet does not take images of 32×32",
        ("vgg11", 1, 28, 10, "auto"): "vgg11 does not take images of 28×28",
        ("vit-tiny", 3, 30, 10, "auto"): "do not divide into patches of 4×4",
        ("vit_b_16", 3, 40, 10, "imagenet"): "vit_b_16 does not take images of 40×40",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            check_classifier(*arguments)
        assert "\n" not in str(error.value)


def test_checking_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    check_classifier("resnet18", 3, 32, 10, "auto")
    assert torch.equal(torch.get_rng_state(), before)


def test_auxiliary_networks_are_not_offered() -> None:
    assert not {"googlenet", "inception_v3"} & set(torchvision_names())
    assert {"resnet18", "vgg16_bn", "convnext_tiny", "vit_b_16"} <= set(torchvision_names())
