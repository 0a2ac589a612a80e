"""The classification tables bundled with scikit-learn or made by it, split and standardised."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.supervised import Data

_SPLIT_SEED = 0
_HASTIE_ROWS = 12_000


def _hastie() -> tuple[Any, Any]:
    """Ten normal features; the class is whether the sum of their squares is above its median.

    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., eq. 10.2.
    """
    rows, signs = datasets.make_hastie_10_2(n_samples=_HASTIE_ROWS, random_state=_SPLIT_SEED)
    return rows, (signs > 0).astype(np.int64)


TABLES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "breast-cancer": partial(datasets.load_breast_cancer, return_X_y=True),
    "digits": partial(datasets.load_digits, return_X_y=True),
    "hastie": _hastie,
    "iris": partial(datasets.load_iris, return_X_y=True),
    "wine": partial(datasets.load_wine, return_X_y=True),
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
    rows, classes = TABLES[name]()
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
