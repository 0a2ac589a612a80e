"""Draws from the posterior of a model's few hyperparameters, for models whose data are jointly normal given them.

Maximised hyperparameters alone give intervals that are too narrow; these are integrated over instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

Array = NDArray[np.float64]
# Log density and its gradient.
Density = Callable[[Array], tuple[float, Array]]

IMPOSSIBLE = -1e10
FREEDOM = 4.0
# Priors are cut this many spreads from their centres.
REACH = 6.0


def log_normal(y: Array, covariance: Array, derivatives: Sequence[Array]) -> tuple[float, Array]:
    """Log density of y ~ N(0, covariance) and its gradient (Rasmussen and Williams 2006, eq. 5.8 and 5.9).

    Args:
        y: Values, shape (n,).
        covariance: Shape (n, n).
        derivatives: Its derivative by each hyperparameter, each (n, n), or (n,) for one that is diagonal.

    Returns:
        The log density and its gradient; `IMPOSSIBLE` and zeros if the covariance is not positive definite.
    """
    try:
        factor = cholesky(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return IMPOSSIBLE, np.zeros(len(derivatives))
    inverse = cho_solve((factor, True), np.eye(len(y)), check_finite=False)
    weights = inverse @ y
    value = -0.5 * (y @ weights + len(y) * np.log(2.0 * np.pi)) - np.log(np.diag(factor)).sum()
    inner = np.outer(weights, weights) - inverse
    slopes = [0.5 * float(np.vdot(inner if d.ndim == 2 else np.diag(inner), d)) for d in derivatives]
    return float(value), np.array(slopes)


def with_prior(likelihood: Density, centre: Array, spread: Array) -> Density:
    """The likelihood times independent normal priors N(centre, spread^2), cut `REACH` spreads out."""
    norm = float(np.log(spread * np.sqrt(2.0 * np.pi)).sum())

    def density(theta: Array) -> tuple[float, Array]:
        z = (theta - centre) / spread
        if np.any(np.abs(z) > REACH):
            return IMPOSSIBLE, np.zeros(len(theta))
        value, slope = likelihood(theta)
        return max(value - 0.5 * float(z @ z) - norm, IMPOSSIBLE), slope - z / spread

    return density


@dataclass(frozen=True)
class Mode:
    """Where a density is highest, shape (p,), with the standard deviations and directions of its curvature there.

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
        density: Log density and gradient at a point (p,).
        starts: Where to climb from; the highest summit counts.
        widest: Largest standard deviation along any direction: where the data say nothing, the prior's.
    """
    theta = max((climb(density, start) for start in starts), key=lambda at: density(at)[0])
    values, vectors = np.linalg.eigh(-_hessian(density, theta))
    scales = np.minimum(1.0 / np.sqrt(np.maximum(values, 1e-6)), widest)
    evidence = density(theta)[0] + 0.5 * len(theta) * np.log(2.0 * np.pi) + float(np.log(scales).sum())
    return Mode(theta, scales, vectors, float(evidence))


def draw(density: Density, at: Mode, rng: np.random.Generator, draws: int = 12, proposals: int = 60) -> Array:
    """Draws from a density, with repeats: shape (draws, p).

    By importance resampling from a Student-t (4 degrees of freedom) fitted to the curvature at the mode.

    Args:
        density: Log density and gradient at a point (p,).
        at: Its mode.
        rng: Source of randomness.
        draws: Number of draws.
        proposals: Number of points weighed.
    """
    p = len(at.theta)
    z = rng.standard_normal((proposals, p)) * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (proposals, 1)))
    thetas = at.theta + 1.1 * (z * at.scales) @ at.directions.T
    log_proposal = -0.5 * (FREEDOM + p) * np.log1p((z**2).sum(axis=1) / FREEDOM)
    log_weight = np.array([density(theta)[0] for theta in thetas]) - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    positions = (np.arange(draws) + rng.uniform()) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), positions), proposals - 1)
    return np.asarray(thetas[chosen], dtype=np.float64)


def climb(density: Density, start: Array) -> Array:
    """Where the density is highest, by L-BFGS from a start."""

    def downhill(theta: Array) -> tuple[float, Array]:
        value, slope = density(theta)
        return -value, -slope

    found = minimize(downhill, start, jac=True, method="L-BFGS-B", options={"maxiter": 40})
    return np.asarray(found.x, dtype=np.float64)


def _hessian(density: Density, at: Array, step: float = 0.05) -> Array:
    """Central differences of the gradient at a point (p,): shape (p, p)."""
    moves = step * np.eye(len(at))
    rows = np.array([(density(at + e)[1] - density(at - e)[1]) / (2.0 * step) for e in moves])
    return np.asarray(0.5 * (rows + rows.T), dtype=np.float64)
