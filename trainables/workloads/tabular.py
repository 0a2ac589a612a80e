"""Workloads on the classification tables of scikit-learn: their base class, and the MLP."""

from __future__ import annotations

from torch import nn

from phitune.trainables.models.mlp import mlp
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.tables import table
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload


class TableWorkload(SupervisedWorkload):
    """Rows of features, standardised one by one; those of digits, which are pixels, all together.

    Args:
        model: The part of the name before the slash; the class decides the model.
        data: One of `trainables.workloads.data.tables.TABLES`.
    """

    def __init__(self, model: str, data: str, /) -> None:
        self._table = data

    def data(self) -> dict[Split, Data]:
        return table(self._table, by_feature=self._table != "digits")

    def sizes(self) -> tuple[int, int]:
        """Number of features and of classes."""
        train = self.data()["train"]
        return train.inputs.shape[1], int(train.targets.max()) + 1


class MlpTable(TableWorkload):
    """MLP with two hidden layers of 32 and ReLU; batch 32.

    600 iterations are 60 epochs of breast-cancer, 200 of wine, 300 of iris and 2.7 of hastie.
    """

    full_budget = 600
    recipe = Recipe(batch_size=32)

    def model(self) -> nn.Module:
        features, classes = self.sizes()
        return mlp(features, (32, 32), classes)
