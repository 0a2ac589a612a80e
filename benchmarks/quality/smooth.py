"""Expected losses between the recorded configurations."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmarks.quality.curves import Floats

# Log losses this far above the best are already far: the cliff beyond them shall not bend the fit near the best.
_FAR = 1.0


def smooth(where: Floats, values: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """A Matérn-5/2 Gaussian process with fitted scales and noise, its mean on a grid and at the data.

    Args:
        where: Coordinates [n, d].
        values: Log losses [n].
        grid: Coordinates [m, d].
    """
    best = float(np.quantile(values, 0.05))
    squeezed = _squeeze(values - best)
    centre, scale = where.mean(axis=0), where.std(axis=0)
    level, spread = squeezed.mean(), squeezed.std()
    kernel = ConstantKernel(1.0, (0.05, 50)) * Matern(np.ones(where.shape[1]), (0.1, 20), nu=2.5) + WhiteKernel(
        0.05, (1e-5, 1.0)
    )
    process = GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit((where - centre) / scale, (squeezed - level) / spread)
    on_grid = process.predict((grid - centre) / scale) * spread + level
    on_data = process.predict((where - centre) / scale) * spread + level
    return _stretch(on_grid) + best, _stretch(on_data) + best


def _squeeze(excess: Floats) -> Floats:
    """Monotone, about the identity near 0, at most 1."""
    squeezed: Floats = _FAR * (1.0 - np.exp(-excess / _FAR))
    return squeezed


def _stretch(squeezed: Floats) -> Floats:
    """Undoes `_squeeze`."""
    excess: Floats = -_FAR * np.log(1.0 - np.minimum(squeezed / _FAR, 1.0 - 1e-3))
    return excess
