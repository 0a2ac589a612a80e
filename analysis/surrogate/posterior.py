"""Posterior of a model's few hyperparameters, for models whose data are jointly normal given them.

Intervals at the maximum alone are too narrow, so the hyperparameters are drawn and integrated over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dtrtrs
from scipy.optimize import minimize

Array = NDArray[np.float64]

IMPOSSIBLE = -1e10
FREEDOM = 4.0
# Priors are cut this many spreads from their centres.
REACH = 6.0


@dataclass(frozen=True)
class Density:
    """A log density over points (p,).

    Attributes:
        value: Function from a point to the log density.
        slope: Function from a point to the log density and its gradient (p,); takes several times as long.
    """

    value: Callable[[Array], float]
    slope: Callable[[Array], tuple[float, Array]]


def factor(covariance: Array) -> Array | None:
    """Lower Cholesky factor; None if the covariance is not positive definite.

    Calls LAPACK directly: there are many small matrices, for which SciPy's checks take longer than the work.
    """
    if not len(covariance):
        return covariance
    lower, failed = dpotrf(covariance.T, lower=True)
    return None if failed else np.asarray(lower, dtype=np.float64)


def half_solve(lower: Array, right: Array, transposed: bool = False) -> Array:
    """Solves lower @ x = right, or lower' @ x = right, for a triangle (n, n) and right sides (n,) or (n, k)."""
    if not len(lower):
        return right
    return np.asarray(dtrtrs(lower, right, lower=True, trans=int(transposed))[0], dtype=np.float64)


def inverse(lower: Array) -> Array:
    """Inverse of a matrix from its lower Cholesky factor."""
    triangle, _ = dpotri(lower, lower=True)
    symmetric = triangle + triangle.T
    symmetric.flat[:: len(symmetric) + 1] *= 0.5
    return np.asarray(symmetric, dtype=np.float64)


def log_normal(y: Array, covariance: Array) -> float:
    """Log density of y (n,) under N(0, covariance); `IMPOSSIBLE` if the covariance is not positive definite."""
    lower = factor(covariance)
    if lower is None:
        return IMPOSSIBLE
    half = half_solve(lower, y)
    return float(-0.5 * (half @ half + len(y) * np.log(2.0 * np.pi)) - np.log(lower.diagonal()).sum())


def log_normal_slope(y: Array, covariance: Array, derivatives: Sequence[Array]) -> tuple[float, Array]:
    """`log_normal` and its gradient (Rasmussen and Williams 2006, eq. 5.8 and 5.9).

    Args:
        y: Values, shape (n,).
        covariance: Shape (n, n).
        derivatives: Its derivative by each hyperparameter, each (n, n), or (n,) for one that is diagonal.

    Returns:
        The log density and its gradient; `IMPOSSIBLE` and zeros if the covariance is not positive definite.
    """
    lower = factor(covariance)
    if lower is None:
        return IMPOSSIBLE, np.zeros(len(derivatives))
    precision = inverse(lower)
    weights = precision @ y
    value = -0.5 * (y @ weights + len(y) * np.log(2.0 * np.pi)) - np.log(lower.diagonal()).sum()
    inner = np.outer(weights, weights) - precision
    slopes = [0.5 * float(np.vdot(inner if d.ndim == 2 else inner.diagonal(), d)) for d in derivatives]
    return float(value), np.array(slopes)


def with_prior(likelihood: Density, centre: Array, spread: Array) -> Density:
    """The likelihood times independent normal priors N(centre, spread^2), cut `REACH` spreads out."""
    norm = float(np.log(spread * np.sqrt(2.0 * np.pi)).sum())

    def value(theta: Array) -> float:
        z = (theta - centre) / spread
        if np.any(np.abs(z) > REACH):
            return IMPOSSIBLE
        return max(likelihood.value(theta) - 0.5 * float(z @ z) - norm, IMPOSSIBLE)

    def slope(theta: Array) -> tuple[float, Array]:
        z = (theta - centre) / spread
        if np.any(np.abs(z) > REACH):
            return IMPOSSIBLE, np.zeros(len(theta))
        height, gradient = likelihood.slope(theta)
        return max(height - 0.5 * float(z @ z) - norm, IMPOSSIBLE), gradient - z / spread

    return Density(value, slope)


@dataclass(frozen=True)
class Mode:
    """A density's mode, with the standard deviations and directions of its curvature there.

    Attributes:
        theta: The mode, shape (p,).
        scales: Standard deviation along each direction, shape (p,).
        directions: In columns, shape (p, p).
        log_evidence: Log of the density's integral by Laplace's approximation.
    """

    theta: Array
    scales: Array
    directions: Array
    log_evidence: float


def mode(density: Density, starts: Sequence[Array], widest: float) -> Mode:
    """The mode of a density.

    Args:
        density: The log density.
        starts: Points to climb from; the highest of the maxima reached is the mode.
        widest: Largest standard deviation along any direction: the prior's, for directions without information.
    """
    theta = max((climb(density, start) for start in starts), key=density.value)
    values, vectors = np.linalg.eigh(-_hessian(density, theta))
    scales = np.minimum(1.0 / np.sqrt(np.maximum(values, 1e-6)), widest)
    evidence = density.value(theta) + 0.5 * len(theta) * np.log(2.0 * np.pi) + float(np.log(scales).sum())
    return Mode(theta, scales, vectors, float(evidence))


def draw(density: Density, at: Mode, rng: np.random.Generator, draws: int = 12, proposals: int = 60) -> Array:
    """Draws from a density, with repeats: shape (draws, p).

    By importance resampling from a Student-t (4 degrees of freedom) fitted to the curvature at the mode.

    Args:
        density: The log density.
        at: Its mode.
        rng: Source of randomness.
        draws: Number of draws.
        proposals: Number of points that are weighted.
    """
    p = len(at.theta)
    z = rng.standard_normal((proposals, p)) * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (proposals, 1)))
    thetas = at.theta + 1.1 * (z * at.scales) @ at.directions.T
    log_proposal = -0.5 * (FREEDOM + p) * np.log1p((z**2).sum(axis=1) / FREEDOM)
    log_weight = np.array([density.value(theta) for theta in thetas]) - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    positions = (np.arange(draws) + rng.uniform()) / draws
    picks = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), positions), proposals - 1)
    return np.asarray(thetas[picks], dtype=np.float64)


def climb(density: Density, start: Array) -> Array:
    """The local maximum that L-BFGS reaches from a start, shape (p,)."""

    def downhill(theta: Array) -> tuple[float, Array]:
        value, slope = density.slope(theta)
        return -value, -slope

    result = minimize(downhill, start, jac=True, method="L-BFGS-B", options={"maxiter": 40})
    return np.asarray(result.x, dtype=np.float64)


def _hessian(density: Density, at: Array, step: float = 0.05) -> Array:
    """Central differences of the gradient at a point (p,): shape (p, p)."""
    moves = step * np.eye(len(at))
    rows = np.array([(density.slope(at + e)[1] - density.slope(at - e)[1]) / (2.0 * step) for e in moves])
    return np.asarray(0.5 * (rows + rows.T), dtype=np.float64)
