"""Linear regression without label noise."""

from __future__ import annotations

import math

import numpy as np

from phitune.trainables.workloads.exact.base import ExactWorkload
from phitune.trainables.workloads.exact.problem import Problem


class Regression(ExactWorkload):
    """Linear regression on batches drawn without replacement: the noise is proportional to the loss, and ends with it.

    Eigenvalues ``i^(-exponent)``, start ``E[wᵢ²] = 1/dim``. With the defaults the best LRs are 0.3 to 0.5, and it
    diverges above 0.6 to 0.8.

    Args:
        dim: Number of eigenvalues, at least 1.
        exponent: Of their power law, at least 0.
        batch: Examples a step, at least 1 and at most ``examples``.
        examples: Examples in all, at least 1.
        momentum: Heavy-ball momentum in [0, 1).

    Source: "What do near-optimal learning rate schedules look like?", arXiv 2603.10301.
    """

    name = "regression"

    def __init__(
        self, dim: int = 100, exponent: float = 1.25, batch: int = 1, examples: int = 1024, momentum: float = 0.0
    ) -> None:
        for key, value in (("dim", dim), ("examples", examples)):
            self.require(key, value, 1, math.inf, "a whole number of at least 1", whole=True)
        self.require("exponent", exponent, 0, math.inf, "a number of at least 0")
        self.require("batch", batch, 1, examples + 1, f"a whole number from 1 to examples, {examples}", whole=True)
        curvature = np.arange(1.0, dim + 1) ** -exponent
        problem = Problem(curvature, np.full(dim, 1.0 / dim), np.zeros(dim), 1 / batch - 1 / examples)
        super().__init__(problem, momentum)
