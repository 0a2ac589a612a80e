"""A second opinion on phi*: the lowest point of the mean surface, refitted to resampled trials.

Cheap, as the hyperparameters are held. It assumes nothing about the noise's distribution; it ignores the uncertainty
between the trials, so as a rule its interval is the narrower one.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dposv

from phitune.analysis.surrogate import gaussian_process as gp

Array = NDArray[np.float64]

RESAMPLES = 40


def resampled_argmins(data: gp.Data, h: gp.Hyperparameters, log_phi: Array, log_lr: Array, seed: int = 0) -> Array:
    """Log phi of the lowest point of the mean surface for each resample of the trials.

    Args:
        data: The surface's data, n points.
        h: Its hyperparameters.
        log_phi: Grid, shape (g,).
        log_lr: Log mean LRs considered at each phi, shape (g, l).
        seed: Of the resampling.

    Returns:
        Shape (`RESAMPLES`,).
    """
    rng = np.random.default_rng(seed)
    n = len(data.y)
    at = np.stack([np.repeat(log_phi, log_lr.shape[1]), log_lr.ravel()], axis=1)
    clean, noise = gp.covariance(data, h)
    weights = np.zeros((RESAMPLES, n))
    for resample in weights:
        rows = rng.integers(0, n, n)
        covariance = clean[np.ix_(rows, rows)]
        covariance.flat[:: n + 1] += noise[rows]
        _, solved, failed = dposv(covariance, data.centred[rows], lower=True)
        if failed:
            raise LinAlgError("the covariance of the resampled points is not positive definite")
        np.add.at(resample, rows, solved)
    return np.asarray(at[(gp.cross_covariance(data, h, at) @ weights.T).argmin(axis=0), 0], dtype=np.float64)
