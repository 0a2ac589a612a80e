"""A small Gaussian process over (log phi, log mean LR), made for intervals on an argmin.

Why not scikit-learn's: whole functions are drawn here, for each of several settings of the hyperparameters, so that
each draw can be minimised. Its `sample_y` factors the joint covariance of all prediction points: 1.7 s for one setting
and half the grid of `analysis.surface.fit`, against 8 ms (one core, 54 trials), and its likelihood with gradient takes
1.7 ms against 0.4 ms. A study of 200 cells would take an hour and a half instead of a minute of one core. It is the
reference twin in the tests.

Model: y = quadratic trend(x) + f(x) + e, f ~ GP(0, Matern-5/2, one lengthscale a dimension),
e_i ~ N(0, noise^2 + extra_i^2). The trend's coefficients have Gaussian priors.
Whole functions are drawn by `analysis.surrogate.function_draws`.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from phitune.analysis.surrogate import posterior

Array = NDArray[np.float64]

SQRT5 = 5.0**0.5


@dataclass(frozen=True)
class Priors:
    """Weak log-normal priors of the hyperparameters, as (median, sd of the logarithm).

    Attributes:
        signal: Of f's standard deviation, in units of y.
        lengths: Of each lengthscale, in units of x.
        noise: Of the noise's standard deviation; None when trials are deterministic.
        noise_floor: Added in quadrature to every point's noise: the misfit that a smooth surface cannot follow.
    """

    signal: tuple[float, float] = (0.3, 1.0)
    lengths: tuple[tuple[float, float], ...] = ((2.5, 0.7), (1.5, 0.7))
    noise: tuple[float, float] | None = (0.02, 1.5)
    noise_floor: float = 1e-3

    def centre_and_spread(self) -> tuple[Array, Array]:
        """Medians (as logarithms) and standard deviations of all hyperparameters, in `theta`'s order."""
        items = [self.signal, *self.lengths] + ([self.noise] if self.noise is not None else [])
        return np.log([item[0] for item in items]), np.array([item[1] for item in items])


@dataclass(frozen=True)
class Data:
    """Points to condition on.

    Attributes:
        x: Inputs, shape (n, d).
        y: Values, shape (n,).
        extra: Standard deviation of each point's additional noise, shape (n,).
        lower, upper: The box searched, shape (d,); the trend lives on it, scaled to [-1, 1].
        scales: Prior standard deviation of the trend's coefficients of each input, shape (d,); of a product, the
            smaller one.
    """

    x: Array
    y: Array
    extra: Array
    lower: Array
    upper: Array
    scales: Array

    def trend(self, x: Array) -> Array:
        """The trend's basis 1, a, b, a^2, ab, b^2, ... at x (m, d): shape (m, p), scaled by the coefficients' prior."""
        z = 2.0 * (x - self.lower) / (self.upper - self.lower) - 1.0
        d = z.shape[1]
        pairs = [(i, j) for i in range(d) for j in range(i, d)]
        columns = [np.ones(len(z)), *z.T] + [z[:, i] * z[:, j] for i, j in pairs]
        scale = [float(self.scales.max()), *self.scales] + [min(self.scales[i], self.scales[j]) for i, j in pairs]
        return np.asarray(np.stack(columns, axis=1) * np.array(scale), dtype=np.float64)

    @cached_property
    def basis(self) -> Array:
        """The trend's basis at the points, shape (n, p)."""
        return self.trend(self.x)

    @cached_property
    def trend_covariance(self) -> Array:
        """Covariance of the trend between the points, shape (n, n)."""
        return np.asarray(self.basis @ self.basis.T, dtype=np.float64)

    @cached_property
    def squares(self) -> Array:
        """Squared differences of the points along each input, shape (d, n, n)."""
        return np.asarray((self.x.T[:, :, None] - self.x.T[:, None, :]) ** 2, dtype=np.float64)

    @cached_property
    def centred(self) -> Array:
        """y less its mean, shape (n,)."""
        return self.y - float(np.mean(self.y))


def matern52(a: Array, b: Array, lengths: Array) -> Array:
    """Matern-5/2 correlation between rows of a (n, d) and b (m, d): shape (n, m)."""
    a, b = a * (SQRT5 / lengths), b * (SQRT5 / lengths)
    scaled = np.zeros((len(a), len(b)))
    for k in range(a.shape[1]):
        apart = np.subtract.outer(a[:, k], b[:, k])
        scaled += np.square(apart, out=apart)
    np.sqrt(scaled, out=scaled)
    return np.asarray((1.0 + scaled * (1.0 + scaled / 3.0)) * np.exp(-scaled), dtype=np.float64)


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters: f's standard deviation, the lengthscales (d,), the common noise's standard deviation."""

    signal: float
    lengths: Array
    noise: float


def unpack(theta: Array, priors: Priors) -> Hyperparameters:
    """Hyperparameters from their logarithms in the order signal, lengths..., noise."""
    d = len(priors.lengths)
    noise = float(np.exp(theta[1 + d])) if priors.noise is not None else 0.0
    return Hyperparameters(
        signal=float(np.exp(theta[0])),
        lengths=np.exp(theta[1 : 1 + d]),
        noise=float(np.hypot(noise, priors.noise_floor)),
    )


def covariance(data: Data, h: Hyperparameters) -> tuple[Array, Array]:
    """Covariance of the noise-free values (n, n), and the noise variances (n,)."""
    scaled = np.sqrt(np.tensordot(5.0 / h.lengths**2, data.squares, 1))
    smooth = (1.0 + scaled * (1.0 + scaled / 3.0)) * np.exp(-scaled)
    return h.signal**2 * smooth + data.trend_covariance, h.noise**2 + data.extra**2


def noisy_covariance(data: Data, h: Hyperparameters) -> Array:
    """Covariance of the values, shape (n, n)."""
    clean, noise = covariance(data, h)
    clean.flat[:: len(noise) + 1] += noise
    return clean


def log_marginal(data: Data, priors: Priors, theta: Array) -> float:
    """Log marginal likelihood of the centred values at log hyperparameters (see `unpack`)."""
    return posterior.log_normal(data.centred, noisy_covariance(data, unpack(theta, priors)))


def log_marginal_slope(data: Data, priors: Priors, theta: Array) -> tuple[float, Array]:
    """`log_marginal` and its gradient."""
    h = unpack(theta, priors)
    squares = [square / length**2 for square, length in zip(data.squares, h.lengths, strict=True)]
    scaled = SQRT5 * np.sqrt(sum(squares))
    decay = h.signal**2 * np.exp(-scaled)
    slope = decay * (1.0 + scaled)
    smooth = slope + decay * np.square(scaled) / 3.0
    slope *= 5.0 / 3.0
    derivatives = [2.0 * smooth, *(slope * square for square in squares)]
    if priors.noise is not None:
        derivatives.append(np.full(len(data.y), 2.0 * float(np.exp(2.0 * theta[-1]))))
    smooth += data.trend_covariance
    smooth.flat[:: len(smooth) + 1] += h.noise**2 + data.extra**2
    return posterior.log_normal_slope(data.centred, smooth, derivatives)


@dataclass(frozen=True)
class Settings:
    """Posterior of the hyperparameters.

    Attributes:
        theta: The mode, as logarithms (see `unpack`).
        mode: The mode.
        draws: Draws, with repeats.
        log_evidence: Log density of the data under the model, hyperparameters integrated out.
    """

    theta: Array
    mode: Hyperparameters
    draws: tuple[Hyperparameters, ...]
    log_evidence: float


def settings(
    data: Data, priors: Priors, rng: np.random.Generator, draws: int = 12, start: Array | None = None
) -> Settings:
    """The hyperparameters' posterior (`analysis.surrogate.posterior`).

    Args:
        data: The points.
        priors: Weak priors, which also bound the hyperparameters (six spreads).
        rng: Source of randomness.
        draws: Number of draws; 0 for none.
        start: Logarithms from which to climb to the mode; by default from two likely points.
    """
    centre, spread = priors.centre_and_spread()
    likelihood = posterior.Density(partial(log_marginal, data, priors), partial(log_marginal_slope, data, priors))
    density = posterior.with_prior(likelihood, centre, spread)
    starts = [centre, centre + spread * np.where(np.arange(len(centre)) == 0, 1.0, -0.7)]
    at = posterior.mode(density, starts if start is None else [start], float(spread.max()))
    thetas = posterior.draw(density, at, rng, draws) if draws else np.empty((0, len(centre)))
    return Settings(
        at.theta, unpack(at.theta, priors), tuple(unpack(theta, priors) for theta in thetas), at.log_evidence
    )


def predict(data: Data, h: Hyperparameters, at: Array) -> tuple[Array, Array]:
    """Posterior mean and standard deviation of the noise-free surface at points (m, d): two arrays (m,)."""
    lower = factor(data, h)
    basis = data.trend(at)
    half = posterior.half_solve(lower, cross_covariance(data, h, at, basis).T)
    mean = posterior.half_solve(lower, data.centred) @ half + float(np.mean(data.y))
    explained = np.square(half, out=half).sum(axis=0)
    return mean, np.sqrt(np.maximum(h.signal**2 + (basis**2).sum(axis=1) - explained, 0.0))


def factor(data: Data, h: Hyperparameters) -> Array:
    """Lower Cholesky factor of the values' covariance.

    Raises:
        LinAlgError: The covariance is not positive definite.
    """
    lower = posterior.factor(noisy_covariance(data, h))
    if lower is None:
        raise LinAlgError("the covariance of the points is not positive definite")
    return lower


def cross_covariance(data: Data, h: Hyperparameters, at: Array, basis: Array | None = None) -> Array:
    """Covariance of the surface at points (m, d) with that at the data: (m, n).

    Args:
        data: The points.
        h: The hyperparameters.
        at: The points to predict at.
        basis: The trend's basis at them (m, p), if it is computed already.
    """
    basis = data.trend(at) if basis is None else basis
    smooth = matern52(at, data.x, h.lengths)
    smooth *= h.signal**2
    smooth += basis @ data.basis.T
    return smooth
