"""Expected losses between the recorded configurations."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmarks.quality.curves import Floats

# Log losses this far above the best are already far: the cliff beyond them shall not bend the fit near the best, nor
# its misfit pass for noise there.
_FAR = 1.0


@dataclass(frozen=True)
class Smooth:
    """Surfaces through log losses.

    Attributes:
        grid: Log losses on a grid, [m, k].
        base: Log losses from which excesses are counted, about the best there are, [k].
        squeezed: Of the data's surfaces, `squeeze` (log loss − base), [n, k].
    """

    grid: Floats
    base: Floats
    squeezed: Floats


def smooth(where: Floats, values: Floats, grid: Floats) -> Smooth:
    """Matérn-5/2 Gaussian processes, their means on a grid and at the data.

    Scales and noise are fitted to the first column and serve all: columns are averages of the same weights.

    Args:
        where: Coordinates [n, d].
        values: Log losses [n, k].
        grid: Coordinates [m, d].
    """
    best = np.quantile(values, 0.05, axis=0)
    squeezed = squeeze(values - best)
    centre, scale = where.mean(axis=0), where.std(axis=0)
    level, spread = squeezed.mean(axis=0), squeezed.std(axis=0)
    inputs, targets = (where - centre) / scale, (squeezed - level) / spread
    kernel = ConstantKernel(1.0, (0.05, 50)) * Matern(np.ones(where.shape[1]), (0.1, 20), nu=2.5)
    kernel = _fitted(kernel + WhiteKernel(0.05, (1e-5, 1.0)), inputs, targets[:, 0])
    process = GaussianProcessRegressor(kernel, optimizer=None).fit(inputs, targets)
    on_grid = process.predict((grid - centre) / scale).reshape(len(grid), -1) * spread + level
    on_data = process.predict(inputs).reshape(len(where), -1) * spread + level
    return Smooth(stretch(on_grid) + best, best, on_data)


def _fitted(kernel: Any, inputs: Floats, targets: Floats) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel).fit(inputs, targets).kernel_


def squeeze(excess: Floats) -> Floats:
    """Monotone, about the identity near 0, at most 1."""
    squeezed: Floats = _FAR * (1.0 - np.exp(-excess / _FAR))
    return squeezed


def stretch(squeezed: Floats) -> Floats:
    """Undoes `squeeze`, up to a log loss of about 7."""
    excess: Floats = -_FAR * np.log(1.0 - np.minimum(squeezed / _FAR, 1.0 - 1e-3))
    return excess
