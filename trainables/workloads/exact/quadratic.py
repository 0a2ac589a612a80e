"""The noisy quadratic."""

from __future__ import annotations

import math

import numpy as np

from phitune.trainables.workloads.exact.base import ExactWorkload
from phitune.trainables.workloads.exact.problem import Problem


class Quadratic(ExactWorkload):
    """SGD on ``½ Σ hᵢ wᵢ²`` with gradient noise; second moments instead of samples, so exact.

    ``dim`` eigenvalues hᵢ log-spaced in [1/κ, 1], start ``E[wᵢ²] = 1/dim``, gradient noise of variance
    ``c·hᵢ/dim`` a step.

    Args:
        kappa: Condition number κ ≥ 1.
        noise: Noise scale c ≥ 0.
        dim: Number of eigenvalues, at least 1.
        momentum: Heavy-ball momentum in [0, 1).

    Source: the noisy quadratic model, as in Zhang et al., arXiv 1907.04164.
    """

    name = "quadratic"

    def __init__(self, kappa: float = 100.0, noise: float = 0.03, dim: int = 60, momentum: float = 0.0) -> None:
        self.require("kappa", kappa, 1, math.inf, "a number of at least 1")
        self.require("noise", noise, 0, math.inf, "a number of at least 0")
        self.require("dim", dim, 1, math.inf, "a whole number of at least 1", whole=True)
        curvature = np.logspace(-math.log10(kappa), 0.0, dim)
        super().__init__(Problem(curvature, np.full(dim, 1.0 / dim), noise * curvature / dim), momentum)
