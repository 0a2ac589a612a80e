"""Multinomial logistic regression: a convex problem on real data, whose optimum can be computed."""

from __future__ import annotations

from torch import nn

from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.tabular import TableWorkload


class LogisticRegression(TableWorkload):
    """A linear layer that starts at zero; batch 32.

    With sgd it minimises ``mean cross-entropy + weight_decay / 2 · ‖W‖²``, biases not penalised: the objective of
    scikit-learn's `LogisticRegression` with ``C = 1 / (n · weight_decay)`` and n training rows, for three or more
    classes. The losses that are reported are the cross-entropy alone, over whole splits. The seed decides only the
    order of the rows. 1000 iterations are 30 epochs of digits and 100 to 500 of the other tables.
    """

    full_budget = 1000
    recipe = Recipe(batch_size=32, weight_decay=1e-3)
    decay_vectors = False

    def model(self) -> nn.Module:
        linear = nn.Linear(*self.sizes())
        for parameter in linear.parameters():
            nn.init.zeros_(parameter)
        return linear
