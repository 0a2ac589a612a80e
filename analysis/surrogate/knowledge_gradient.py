"""The value of one more observation: how much lower the least posterior mean is expected to be after it.

Frazier, Powell and Dayanik (INFORMS J. Computing 21, 2009), by Gauss-Hermite quadrature over the observation.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def knowledge_gradient(mean: Array, covariance: Array, variance: Array) -> Array:
    """Expected fall of the least mean for each of several possible observations, shape (k,).

    Args:
        mean: Posterior means of the points among which the best is chosen, shape (m,).
        covariance: Their posterior covariance with f where each observation would be made, shape (m, k).
        variance: Variance of each observation, noise included, shape (k,).
    """
    moves = covariance / np.sqrt(np.maximum(variance, 1e-12))
    expected = np.zeros(moves.shape[1])
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        expected += weight * (mean[:, None] + node * moves).min(axis=0)
    return np.asarray(np.maximum(mean.min() - expected, 0.0), dtype=np.float64)
