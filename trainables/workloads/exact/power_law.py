"""A quadratic whose spectrum and target follow power laws."""

from __future__ import annotations

import math

import numpy as np

from phitune.trainables.workloads.exact.base import ExactWorkload
from phitune.trainables.workloads.exact.problem import Problem


class PowerLaw(ExactWorkload):
    """SGD on a kernel regression with label noise, in the kernel's eigenvectors.

    Eigenvalues ``hᵢ = i^(-β)``, start ``hᵢ E[wᵢ²] ∝ i⁻¹ hᵢˢ`` with a loss of ½, gradient noise of variance ``c·hᵢ`` a
    step. Without noise the loss falls like (Σ LR)^(-s). Power laws hold as long as Σ LR is well below dim^β.

    Args:
        capacity: β > 1, the exponent of the eigenvalues: the larger, the fewer directions matter.
        source: s > 0; the larger, the easier the target. Easy is s ≥ 1 − 1/β.
        noise: Noise scale c ≥ 0: the labels' variance ÷ batch size.
        dim: Number of eigenvalues, at least 1.
        momentum: Heavy-ball momentum in [0, 1).

    Source: functional scaling laws, arXiv 2509.19189; their optimal schedules, arXiv 2602.06797.
    """

    name = "power-law"

    def __init__(
        self, capacity: float = 1.5, source: float = 1.0, noise: float = 0.1, dim: int = 1000, momentum: float = 0.0
    ) -> None:
        self.require("capacity", capacity, math.nextafter(1.0, 2.0), math.inf, "a number above 1")
        self.require("source", source, math.nextafter(0.0, 1.0), math.inf, "a positive number")
        self.require("noise", noise, 0, math.inf, "a number of at least 0")
        self.require("dim", dim, 1, math.inf, "a whole number of at least 1", whole=True)
        self.capacity, self.source = capacity, source
        order = np.arange(1.0, dim + 1)
        curvature = order**-capacity
        signal = curvature**source / order
        super().__init__(Problem(curvature, signal / signal.sum() / curvature, noise * curvature), momentum)
