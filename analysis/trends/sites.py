"""Gaussian approximations of the cells' likelihoods, by expectation propagation.

Minka 2001; Rasmussen and Williams 2006, section 3.6. A site is the Gaussian factor, (mean, variance), that replaces one
cell's likelihood.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from phitune.analysis.surrogate import posterior
from phitune.analysis.trends.likelihood import Likelihoods

Array = NDArray[np.float64]

SWEEPS = 12
DAMPING = 0.7
LEAST_PRECISION = 1e-4
SETTLED = 0.01
# Added to every predictive density: no value is impossible.
LEAST_DENSITY = 1e-12


def initial_sites(likelihoods: Likelihoods) -> tuple[Array, Array]:
    """Sites with the moments of each likelihood alone: means and variances, shape (n,)."""
    weight = likelihoods.values / likelihoods.values.sum(axis=1, keepdims=True)
    mean = weight @ likelihoods.grid
    return mean, (weight * (likelihoods.grid[None, :] - mean[:, None]) ** 2).sum(axis=1)


def match_sites(
    likelihoods: Likelihoods, covariance: Callable[[Array], Array], mean: Array, variance: Array
) -> tuple[Array, Array]:
    """Sites that match the likelihoods where a model's covariance puts the cells.

    Args:
        likelihoods: Of n cells.
        covariance: Function from the sites' variances (n,) to the covariance (n, n) of the sites.
        mean, variance: Initial sites, shape (n,).

    Returns:
        Means and variances, shape (n,).
    """
    precision, shift = 1.0 / variance, mean / variance
    values, powers = likelihoods.values, likelihoods.powers
    least = LEAST_DENSITY * values @ powers
    for _ in range(SWEEPS):
        cavity, spread = cavities(covariance(1.0 / precision), shift / precision, 1.0 / precision)
        moments = (values * normal_density(powers, cavity, spread)) @ powers + least
        tilted = moments[:, 1] / moments[:, 0]
        tilted_variance = np.maximum(moments[:, 2] / moments[:, 0] - tilted**2, 1e-9)
        new = np.maximum(1.0 / np.maximum(tilted_variance, 1e-6) - 1.0 / spread, LEAST_PRECISION)
        new_shift = np.where(new > LEAST_PRECISION, tilted / tilted_variance - cavity / spread, new * tilted)
        settled = bool(np.all(np.abs(new - precision) < SETTLED * (1.0 + new)))
        precision = (1.0 - DAMPING) * precision + DAMPING * new
        shift = (1.0 - DAMPING) * shift + DAMPING * new_shift
        if settled:
            break
    return shift / precision, 1.0 / precision


def cavities(covariance: Array, site_mean: Array, site_variance: Array) -> tuple[Array, Array]:
    """Mean and variance of each theta given all other cells: two arrays (n,).

    Args:
        covariance: Of the sites, shape (n, n).
        site_mean, site_variance: The sites, shape (n,).
    """
    inverted = inverse(covariance)
    precision = inverted.diagonal()
    return site_mean - inverted @ site_mean / precision, np.maximum(1.0 / precision - site_variance, 1e-8)


def inverse(covariance: Array) -> Array:
    """Inverse of a covariance.

    Raises:
        LinAlgError: It is not positive definite.
    """
    lower = posterior.factor(covariance)
    if lower is None:
        raise LinAlgError("the covariance of the cells is not positive definite")
    return posterior.inverse(lower)


def normal_density(powers: Array, mean: Array, variance: Array) -> Array:
    """Normal densities (n, k) on a grid, from the powers 0 to 2 of the grid (k, 3), means (n,) and variances (n,)."""
    constant = -0.5 * (mean**2 / variance + np.log(2.0 * np.pi * variance))
    density = np.stack([constant, mean / variance, -0.5 / variance], axis=1) @ powers.T
    return np.asarray(np.exp(density, out=density), dtype=np.float64)
