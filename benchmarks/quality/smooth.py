"""Expected losses of configurations: one Gaussian process over all families, from noisy losses of some."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmarks.quality.curves import Floats, schedule_of
from phitune.search.study.cell import Cell

# Configurations that the kernel is fitted to; the surfaces go through all.
_FITTED = 300
# Standard deviation of what a family adds of its own, in units of the squeezed loss.
_OFFSET = 0.02
# Least noise of a run in units of the squeezed loss, so that the surface need not go through a cliff's every point.
_LEAST = 0.003
# Levels of the loss, each with a noise of its own.
_LEVELS = 8
# The squeezed loss at which `stretch` ends: seven times the scale.
_MOST = 1.0 - 1e-3


@dataclass(frozen=True)
class Places:
    """Configurations as points: their coordinates, [n, 3], and the numbers of their families, [n]."""

    where: Floats
    family: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.where)

    def part(self, chosen: NDArray[Any]) -> Places:
        """Some of them, by a mask or by indices."""
        return Places(self.where[chosen], self.family[chosen])


def places(cell: Cell, labels: Sequence[str] | NDArray[np.str_], phi: Floats, base_lr: Floats) -> Places:
    """Configurations as functions of the step.

    With u the profile and R(x) = ∫ₓ¹u / ∫₀¹u, the coordinates are log mean LR, log mean R and log(R(0.9) + 10⁻³):
    cosine and UBA with φ = 2 are the same point.
    """
    where = np.empty((len(labels), 3))
    family = np.empty(len(labels), dtype=np.int64)
    for number, space in enumerate(cell.families):
        mine = np.asarray(labels) == space.label
        distinct, inverse = np.unique(phi[mine] if space.searched else np.zeros(mine.sum()), return_inverse=True)
        shapes = np.array([_shape(cell, space.label, float(each)) for each in distinct]).reshape(-1, 3)
        where[mine] = shapes[inverse]
        family[mine] = number
    where[:, 0] += np.log(base_lr)
    return Places(where, family)


def _shape(cell: Cell, label: str, phi: float) -> tuple[float, float, float]:
    """Log mean of a profile, and its two other coordinates."""
    u = np.asarray(schedule_of(cell, label, phi).u(np.arange(cell.budget), cell.budget), dtype=float)
    remaining = np.append(np.cumsum(u[::-1])[::-1], 0.0) / u.sum()
    tail = float(np.interp(0.9 * cell.budget, np.arange(cell.budget + 1), remaining))
    return math.log(float(u.mean())), math.log(float(remaining[:-1].mean())), math.log(tail + 1e-3)


class Smooth:
    """Surfaces through log losses: the posterior means of Gaussian processes.

    The kernel is a Matérn-5/2 with a length scale for each coordinate, plus a small offset a family. Its scales are
    fitted to the first column and serve all: columns are averages of the same weights. The noise is that of runs of the
    same configuration, by level of the loss.

    Args:
        at: Configurations of the runs, [n].
        values: Log losses [n, k].
        scale: Log losses this far above the best are already far: they are squeezed (`squeeze`), so that the cliff
            beyond them does not bend the surface near the best.

    Attributes:
        base: Log losses from which excesses are counted, about the best there are, [k].
    """

    def __init__(self, at: Places, values: Floats, scale: float) -> None:
        self._scale = scale
        self.base: Floats = np.quantile(values, 0.05, axis=0)
        self._centre, self._spread = at.where.mean(axis=0), at.where.std(axis=0)
        inputs = (at.where - self._centre) / self._spread
        keys = np.column_stack([inputs, at.family])
        _, first, inverse, counts = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
        squeezed = squeeze(values - self.base, scale)
        sums = np.zeros((len(first), values.shape[1]))
        np.add.at(sums, inverse, squeezed)
        means = sums / counts[:, None]
        self._inputs, self._family = inputs[first], at.family[first]
        self._level = means.mean(axis=0)
        squares = np.bincount(inverse, (squeezed[:, 0] - means[inverse, 0]) ** 2).astype(np.float64)
        # By the surface's level, not by the configuration's own: noise falls with the squeezed loss, and runs that were
        # bad by chance would weigh more.
        level = np.zeros(len(first))
        for _ in range(2):
            noise = _noise(level, squares, counts)
            self._kernel, misfit = _fitted(self._inputs, means[:, 0] - self._level[0], noise)
            covariance = self._covariance(self._inputs, self._family)
            prior = covariance.copy()
            covariance[np.diag_indices_from(covariance)] += noise + misfit
            self._weights = cho_solve(cho_factor(covariance), means - self._level)
            level = prior @ self._weights[:, 0]

    def squeezed(self, at: Places) -> Floats:
        """`squeeze` (expected log loss − base), [m, k]."""
        inputs = (at.where - self._centre) / self._spread
        parts = np.array_split(np.arange(len(at)), max(1, len(at) // 1000))
        surfaces = [self._covariance(inputs[i], at.family[i]) @ self._weights for i in parts]
        value: Floats = np.concatenate(surfaces) + self._level
        return value

    def __call__(self, at: Places) -> Floats:
        """Expected log losses, [m, k]."""
        return stretch(self.squeezed(at), self._scale) + self.base

    def _covariance(self, inputs: Floats, family: NDArray[np.int64]) -> Floats:
        same = family[:, None] == self._family[None]
        value: Floats = self._kernel(inputs, self._inputs) + _OFFSET**2 * same
        return value


def _noise(level: Floats, squares: Floats, counts: NDArray[np.int64]) -> Floats:
    """Variances of the means of configurations: of single runs, by level of the surface, ÷ their number; [m].

    Args:
        level: Of each configuration, [m].
        squares: Sums of squares round the configuration's mean, [m].
        counts: Runs of each configuration, [m].
    """
    number = np.searchsorted(np.quantile(level, np.linspace(0, 1, _LEVELS + 1)[1:-1]), level)
    free = np.bincount(number, counts - 1, minlength=_LEVELS)
    total = np.bincount(number, squares, minlength=_LEVELS)
    variance = np.where(free > 0, total / np.maximum(free, 1), 0.0)
    return np.maximum(variance[number], _LEAST**2) / counts


def _fitted(inputs: Floats, targets: Floats, noise: Floats) -> tuple[Any, float]:
    """Kernel of the surface, and the variance of what neither surface nor noise explain."""
    chosen = np.random.default_rng(0).permutation(len(inputs))[:_FITTED]
    kernel = ConstantKernel(0.3, (0.01, 10)) * Matern(np.ones(inputs.shape[1]), (0.1, 20), nu=2.5)
    kernel = kernel + WhiteKernel(1e-3, (1e-7, 0.3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process = GaussianProcessRegressor(kernel, alpha=noise[chosen]).fit(inputs[chosen], targets[chosen])
    return process.kernel_.k1, float(process.kernel_.k2.noise_level)


def squeeze(excess: Floats, scale: float) -> Floats:
    """1 − exp(−excess ÷ scale): monotone, linear near 0, at most 1."""
    squeezed: Floats = 1.0 - np.exp(-excess / scale)
    return squeezed


def stretch(squeezed: Floats, scale: float) -> Floats:
    """Undoes `squeeze`, up to an excess of about seven times the scale."""
    excess: Floats = -scale * np.log(1.0 - np.minimum(squeezed, _MOST))
    return excess
