"""The classification tables bundled with scikit-learn, split and standardised."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.supervised import Data

_SPLIT_SEED = 0

TABLES = {
    "breast-cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


@cache
def table(name: str, by_feature: bool = True) -> dict[Split, Data]:
    """60 % train, 20 % validation, 20 % test, stratified, the same in every process.

    Args:
        name: One of `TABLES`.
        by_feature: Whether each feature is standardised by its own mean and deviation over the training split, or
            all by those of the whole, as is usual for pixels.

    Returns:
        Inputs [n, features], float; targets [n], the classes from 0.
    """
    rows, classes = TABLES[name](return_X_y=True)
    x_train, x_rest, y_train, y_rest = train_test_split(
        rows, classes, train_size=0.6, random_state=_SPLIT_SEED, stratify=classes
    )
    x_val, x_test, y_val, y_test = train_test_split(
        x_rest, y_rest, train_size=0.5, random_state=_SPLIT_SEED, stratify=y_rest
    )
    axis = 0 if by_feature else None
    mean, deviation = x_train.mean(axis=axis), x_train.std(axis=axis)

    def data(x: Any, y: Any) -> Data:
        scaled = (x - mean) / np.where(deviation > 0, deviation, 1.0)
        return Data(torch.as_tensor(scaled, dtype=torch.float32), torch.as_tensor(y, dtype=torch.long))

    return {"train": data(x_train, y_train), "val": data(x_val, y_val), "test": data(x_test, y_test)}
