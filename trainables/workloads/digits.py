"""Handwritten digits (UCI, 1797 images of 8×8, bundled with scikit-learn): MLP and CNN."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from trainables.models.cnn import cnn
from trainables.models.mlp import mlp
from trainables.workloads.base import Split
from trainables.workloads.supervised import Data, SupervisedWorkload

_SPLIT_SEED = 0


@cache
def digits() -> dict[Split, Data]:
    """60 % train, 20 % validation, 20 % test, stratified, the same in every process.

    Inputs [n, 1, 8, 8] standardised by the training split's mean and deviation.
    """
    images, labels = load_digits(return_X_y=True)
    x_train, x_rest, y_train, y_rest = train_test_split(
        images, labels, train_size=0.6, random_state=_SPLIT_SEED, stratify=labels
    )
    x_val, x_test, y_val, y_test = train_test_split(
        x_rest, y_rest, train_size=0.5, random_state=_SPLIT_SEED, stratify=y_rest
    )
    mean, deviation = x_train.mean(), x_train.std()

    def data(x: object, y: object) -> Data:
        inputs = (torch.as_tensor(x, dtype=torch.float32) - mean) / deviation
        return Data(inputs.reshape(-1, 1, 8, 8), torch.as_tensor(y, dtype=torch.long))

    return {"train": data(x_train, y_train), "val": data(x_val, y_val), "test": data(x_test, y_test)}


class _Digits(SupervisedWorkload):
    batch_size = 128
    base_lr: ClassVar[dict[str, tuple[float, float]]] = {
        "sgd": (0.001, 1.0),
        "adam": (1e-4, 0.1),
        "adamw": (1e-4, 0.1),
        "amsgrad": (1e-4, 0.1),
    }

    def __init__(self) -> None:
        self.splits = digits()


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
