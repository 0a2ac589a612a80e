"""Handwritten digits (UCI, 1797 images of 8×8, bundled with scikit-learn): MLP, CNN and ResNet."""

from __future__ import annotations

from torch import nn

from phitune.trainables.models.cnn import cnn
from phitune.trainables.models.mlp import mlp
from phitune.trainables.models.resnet import resnet
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.tables import table
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload


class _Digits(SupervisedWorkload):
    """Inputs [n, 1, 8, 8], standardised by the training split's mean and deviation."""

    def data(self) -> dict[Split, Data]:
        return {
            name: Data(data.inputs.reshape(-1, 1, 8, 8), data.targets)
            for name, data in table("digits", by_feature=False).items()
        }


class MlpDigits(_Digits):
    """MLP 64-64-64-10 with ReLU; batch 128; 600 iterations are 75 epochs."""

    full_budget = 600

    def model(self) -> nn.Module:
        return mlp(64, (64, 64), 10)


class CnnDigits(_Digits):
    """Two 3×3 convolutions (8 and 16 channels) of stride 2 with batch normalisation; batch 128; 600 iterations."""

    full_budget = 600

    def model(self) -> nn.Module:
        return cnn((8, 16), 10)


class Resnet8Digits(_Digits):
    """He et al.'s CIFAR ResNet at its smallest (75,000 weights, batch normalisation); batch 128; 600 iterations."""

    full_budget = 600

    def model(self) -> nn.Module:
        return resnet(8, 10, 1)
