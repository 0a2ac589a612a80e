"""Workloads as a user might write them, with what a population could get wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from phitune.trainables.models.vit import VisionTransformer
from phitune.trainables.spec import Spec, Value
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


def precise(kind: type[TorchWorkload], **params: Value) -> TorchWorkload:
    return kind.build(Spec.of({"name": "own", "precision": "fp64", **params}))


class Vit(MlpDigits):
    """A transformer of 4 patches a side."""

    # The keys' biases have no gradient but rounding, which Adam would blow up together with their decay.
    decay_vectors = False

    def model(self) -> nn.Module:
        return VisionTransformer(8, 10, 1, patch=2, width=16, depth=2, heads=2)


class OwnBatch(MlpDigits):
    """Batches with noise from torch's generator, which a learner seeds for that."""

    def batch(self, seed: int, step: int, device: str) -> Batch:
        inputs, targets = super().batch(seed, step, device)
        return inputs + 0.1 * torch.randn_like(inputs), targets


class Frozen(MlpDigits):
    """A first layer that is not trained, and batch normalisation over it."""

    def model(self) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
        model[1].requires_grad_(False)
        return model


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(64, 64)
        self.again = nn.Linear(64, 64, bias=False)
        self.again.weight = self.into.weight
        self.out = nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.out(torch.relu(self.again(torch.relu(self.into(inputs.flatten(1))))))
        return outputs


class Tied(MlpDigits):
    """A weight that two layers share, under two names."""

    def model(self) -> nn.Module:
        return _Tied()


class _Features(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("features", torch.randn(64, 32) / 8, persistent=False)
        self.head = nn.Linear(32, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(torch.cos(inputs.flatten(1) @ self.features))
        return outputs


class RandomFeatures(MlpDigits):
    """A buffer that the seed decides and no state holds."""

    def model(self) -> nn.Module:
        return _Features()


class _Mixed(nn.Module):
    """Dropout as modules and as functions, in a transformer and in a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3))
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), StochasticDepth(0.5, "row"))
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.first(inputs)
        x = (x + self.deep(x)).flatten(2).transpose(1, 2)
        x = self.attention(nn.functional.dropout(x, 0.1, self.training))
        noisy = x.mean(1) + 0.1 * self.training * torch.randn_like(x.mean(1))
        outputs: Tensor = self.head(noisy)
        return outputs


class Dropout(OwnBatch):
    """Random numbers in batches and, after those, in the forward pass."""

    decay_vectors = False

    def model(self) -> nn.Module:
        return _Mixed()
