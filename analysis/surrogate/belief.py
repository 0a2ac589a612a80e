"""What the trials say of the function f + levels: its mean, covariance and whole functions drawn from its posterior.

Up to a number of points the posterior is exact. Beyond, it is that of the variational sparse process (Titsias, AISTATS
2009) whose inducing points are chosen by place alone, so that every trial counts, good or bad.
Functions are drawn by pathwise conditioning (Wilson et al., ICML 2020, eq. 13) on random Fourier features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from phitune.analysis.surrogate import posterior
from phitune.analysis.surrogate.gaussian_process import Data, Hyperparameters, factor, in_common, matern52

Array = NDArray[np.float64]

MOST = 400
INDUCING = 160
FEATURES = 300
CAUTION = 0.5
_JITTER = 1e-6


@dataclass(frozen=True)
class Points:
    """Points at which the belief is asked.

    Attributes:
        x: Inputs, shape (m, d).
        levels: Their part in each level, shape (m, p).
    """

    x: Array
    levels: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.int64]) -> Points:
        """Some of the points."""
        return Points(self.x[rows], self.levels[rows])

    @classmethod
    def join(cls, *parts: Points) -> Points:
        """The points of all parts, in order."""
        return cls(np.concatenate([part.x for part in parts]), np.concatenate([part.levels for part in parts]))


class Belief:
    """The posterior of f + levels, for one setting of the hyperparameters.

    Args:
        data: The points.
        h: The hyperparameters.
        most: Points up to which the posterior is exact.
        inducing: Inducing points beyond.

    Raises:
        LinAlgError: The covariance of the points is not positive definite.
    """

    def __init__(self, data: Data, h: Hyperparameters, most: int = MOST, inducing: int = INDUCING) -> None:
        self.data, self.h = data, h
        self._places = Points(data.x, data.levels)
        self._sparse = len(data.y) > most
        if self._sparse:
            self._condition_sparsely(inducing)
        else:
            self._lower = factor(data, h)
            self._half = posterior.half_solve(self._lower, data.y)
        self._weights = posterior.half_solve(self._lower, self._half, transposed=True)

    def mean(self, at: Points) -> Array:
        """Posterior mean at points, shape (m,)."""
        return np.asarray(self._prior(at, self._places) @ self._weights, dtype=np.float64)

    def half(self, at: Points) -> Array:
        """The points' covariance with the data, whitened: shape (n, m) or fewer rows; makes up `covariance`."""
        return posterior.half_solve(self._lower, self._prior(self._places, at))

    def variance(self, at: Points, half: Array | None = None) -> Array:
        """Posterior variance at points, shape (m,)."""
        half = self.half(at) if half is None else half
        prior = self.h.signal**2 + np.square(at.levels).sum(axis=1)
        explained = np.einsum("ij,ij->j", half, half)
        if self._sparse:
            spread = posterior.half_solve(self._inner, half)
            explained -= np.einsum("ij,ij->j", spread, spread)
        return np.asarray(np.maximum(prior - explained, 1e-12), dtype=np.float64)

    def covariance(self, a: Points, b: Points, half_a: Array | None = None, half_b: Array | None = None) -> Array:
        """Posterior covariance between points, shape (a, b)."""
        half_a = self.half(a) if half_a is None else half_a
        half_b = self.half(b) if half_b is None else half_b
        explained = half_a.T @ half_b
        if self._sparse:
            explained -= posterior.half_solve(self._inner, half_a).T @ posterior.half_solve(self._inner, half_b)
        return np.asarray(self._prior(a, b) - explained, dtype=np.float64)

    def draw(self, at: Points, draws: int, rng: np.random.Generator) -> Array:
        """Whole functions from the posterior at points: shape (draws, m)."""
        h, d = self.h, self.data.x.shape[1]
        # Matern-5/2's spectral density is a multivariate Student-t with five degrees of freedom.
        omega = rng.standard_normal((FEATURES, d)) * np.sqrt(5.0 / rng.chisquare(5.0, (FEATURES, 1))) / h.lengths
        signal = h.signal / np.sqrt(FEATURES)
        shape = 2 * FEATURES, draws
        weights = (signal * np.sqrt(1.0 - h.own)) * rng.standard_normal(shape)
        levels = rng.standard_normal((at.levels.shape[1], draws))
        budgets = [] if h.budget is None else np.union1d(at.x[:, h.budget], self._places.x[:, h.budget]).tolist()
        of_budget = {budget: signal * np.sqrt(h.own) * rng.standard_normal(shape) for budget in budgets}

        def prior(points: Points) -> Array:
            angle = (points.x @ omega.T).astype(np.float32)
            waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
            values = waves @ weights.astype(np.float32) + points.levels @ levels
            for budget, own in of_budget.items():
                rows = np.flatnonzero(points.x[:, h.budget] == budget)
                values[rows] += waves[rows] @ own.astype(np.float32)
            return np.asarray(values, dtype=np.float64)

        if self._sparse:
            p = len(self._lower)
            inner = posterior.half_solve(self._inner, rng.standard_normal((p, draws)), transposed=True)
            half = self._half[:, None] + inner - posterior.half_solve(self._lower, prior(self._places))
        else:
            spread = np.sqrt(h.own_variance + self.data.extra)
            noise = rng.standard_normal((len(spread), draws)) * spread[:, None]
            if h.shared:
                _, seeds = np.unique(self.data.seed, return_inverse=True)
                noise += h.shared * rng.standard_normal((seeds.max() + 1, draws))[seeds]
            half = posterior.half_solve(self._lower, self.data.y[:, None] - prior(self._places) - noise)
        weights_of_data = posterior.half_solve(self._lower, half, transposed=True)
        return np.asarray((prior(at) + self._prior(at, self._places) @ weights_of_data).T, dtype=np.float64)

    def _prior(self, a: Points, b: Points) -> Array:
        smooth = matern52(a.x, b.x, self.h.lengths)
        smooth *= self.h.signal**2 * in_common(a.x, b.x, self.h)
        smooth += a.levels @ b.levels.T
        return smooth

    def _condition_sparsely(self, inducing: int) -> None:
        """Conditions on all points through inducing points.

        With K the covariance of the inducing points u, L its factor and A = L^-1 K_ux the whitened covariance with the
        data, L^-1 u has the posterior N(B^-1 A D^-1 y, B^-1), B = 1 + A D^-1 A', D the noise. What trials of a seed
        share counts as noise of each; with so many trials it averages out.
        """
        data, h = self.data, self.h
        rows = spread_out(data.x / h.lengths, inducing)
        self._places = Points(data.x[rows], data.levels[rows])
        covariance = self._prior(self._places, self._places)
        covariance.flat[:: len(rows) + 1] += _JITTER
        lower = posterior.factor(covariance)
        if lower is None:
            raise LinAlgError("the covariance of the inducing points is not positive definite")
        self._lower = lower
        half = posterior.half_solve(lower, self._prior(self._places, Points(data.x, data.levels)))
        weighted = half / (h.variance + data.extra)
        inner = weighted @ half.T
        inner.flat[:: len(rows) + 1] += 1.0
        factored = posterior.factor(inner)
        if factored is None:
            raise LinAlgError("the sparse process's covariance is not positive definite")
        self._inner = factored
        solved = posterior.half_solve(factored, weighted @ data.y)
        self._half = posterior.half_solve(factored, solved, transposed=True)


def cautious(mode: Belief, beliefs: Sequence[Belief], at: Points) -> Array:
    """What is to be lowest where a configuration is chosen: mean plus `CAUTION` standard deviations, shape (m,).

    The lowest mean alone may lie where nothing was tried, and what is chosen there would be a guess.

    Args:
        mode: The belief by the most probable hyperparameters.
        beliefs: Those by draws of the hyperparameters, over which the mean is taken; their differences are uncertainty.
        at: The configurations, m of them.
    """
    means = np.array([belief.mean(at) for belief in beliefs])
    return np.asarray(means.mean(axis=0) + CAUTION * np.sqrt(mode.variance(at) + means.var(axis=0)), dtype=np.float64)


def spread_out(x: Array, count: int) -> NDArray[np.int64]:
    """Rows of x (n, d), `count` of them, each as far as can be from those before: chosen by place alone.

    Half of them are every so many-th row, so that they are dense where the rows are.
    """
    n = len(x)
    if n <= count:
        return np.arange(n)
    rows = np.unique(np.linspace(0, n - 1, count // 2).round().astype(np.int64)).tolist()
    distance = np.min([np.square(x - x[row]).sum(axis=1) for row in rows], axis=0)
    while len(rows) < count:
        row = int(distance.argmax())
        rows.append(row)
        distance = np.minimum(distance, np.square(x - x[row]).sum(axis=1))
    return np.array(rows)
