"""A small Gaussian process over (log phi, log mean LR), made for intervals on an argmin.

Why not scikit-learn's: whole functions are drawn here, for each of several settings of the hyperparameters, so that
each draw can be minimised by itself. Its `sample_y` factors the joint covariance of all points asked for: 1.7 s for
one setting and half the grid of `analysis.surface`, against 8 ms (one core, 54 trials), and its likelihood with
gradient takes 1.7 ms against 0.4 ms. A study of 200 cells would take an hour and a half instead of a minute of one
core. It is the reference twin in the tests.

Model: y = quadratic trend(x) + f(x) + e, f ~ GP(0, Matern-5/2, one lengthscale a dimension),
e_i ~ N(0, noise^2 + extra_i^2). The trend's coefficients have Gaussian priors.
Draws use pathwise conditioning (Wilson et al., ICML 2020, eq. 13) on random Fourier features.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky

from analysis import posterior

Array = NDArray[np.float64]

SQRT5 = 5.0**0.5
FEATURES = 300


@dataclass(frozen=True)
class Priors:
    """Weak log-normal priors of the hyperparameters, as (median, sd of the logarithm).

    Attributes:
        signal: Of f's standard deviation, in units of y.
        lengths: Of each lengthscale, in units of x.
        noise: Of the noise's standard deviation; None when trials have no noise of their own.
        noise_floor: Added in quadrature to every point's noise; stands for what a smooth surface cannot follow.
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
        extra: Standard deviation of each point's own noise beyond the common one, shape (n,).
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
    squares = [((a[:, None, k] - b[None, :, k]) / lengths[k]) ** 2 for k in range(a.shape[1])]
    scaled: Array = SQRT5 * np.sqrt(sum(squares))
    return np.asarray((1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled), dtype=np.float64)


@dataclass(frozen=True)
class Hyperparameters:
    """One setting: f's standard deviation, the lengthscales (d,), the common noise's standard deviation."""

    signal: float
    lengths: Array
    noise: float


def unpack(theta: Array, priors: Priors) -> Hyperparameters:
    """Hyperparameters from their logarithms in the order signal, lengths..., noise."""
    d = len(priors.lengths)
    own = float(np.exp(theta[1 + d])) if priors.noise is not None else 0.0
    return Hyperparameters(
        signal=float(np.exp(theta[0])),
        lengths=np.exp(theta[1 : 1 + d]),
        noise=float(np.hypot(own, priors.noise_floor)),
    )


def covariance(data: Data, h: Hyperparameters) -> tuple[Array, Array]:
    """Covariance of the noise-free values (n, n), and the noise variances (n,)."""
    clean = h.signal**2 * matern52(data.x, data.x, h.lengths) + data.trend_covariance
    return clean, h.noise**2 + data.extra**2


def log_marginal(data: Data, priors: Priors, theta: Array) -> tuple[float, Array]:
    """Log marginal likelihood of the centred values at log hyperparameters (see `unpack`), and its gradient."""
    h = unpack(theta, priors)
    squares = data.squares / h.lengths[:, None, None] ** 2
    scaled = SQRT5 * np.sqrt(squares.sum(axis=0))
    decay = h.signal**2 * np.exp(-scaled)
    smooth = decay * (1.0 + scaled + scaled**2 / 3.0)
    slope = decay * (5.0 / 3.0) * (1.0 + scaled)
    derivatives = [2.0 * smooth, *(slope * square for square in squares)]
    if priors.noise is not None:
        derivatives.append(np.full(len(data.y), 2.0 * float(np.exp(2.0 * theta[-1]))))
    noise = np.diag(h.noise**2 + data.extra**2)
    return posterior.log_normal(data.centred, smooth + data.trend_covariance + noise, derivatives)


@dataclass(frozen=True)
class Settings:
    """What is known of the hyperparameters.

    Attributes:
        theta: The most probable ones, as logarithms (see `unpack`).
        mode: The same.
        draws: From their posterior, with repeats.
        log_evidence: Log density of the data under the model, hyperparameters integrated out.
    """

    theta: Array
    mode: Hyperparameters
    draws: tuple[Hyperparameters, ...]
    log_evidence: float


def settings(
    data: Data, priors: Priors, rng: np.random.Generator, draws: int = 12, start: Array | None = None
) -> Settings:
    """The hyperparameters' posterior (`analysis.posterior`).

    Args:
        data: The points.
        priors: Weak priors, which also bound the hyperparameters (six spreads).
        rng: Source of randomness.
        draws: Number of draws; 0 for none.
        start: Logarithms from which to look for the mode; by default two likely places.
    """
    centre, spread = priors.centre_and_spread()
    density = posterior.with_prior(lambda theta: log_marginal(data, priors, theta), centre, spread)
    starts = [centre, centre + spread * np.where(np.arange(len(centre)) == 0, 1.0, -0.7)]
    at = posterior.mode(density, starts if start is None else [start], float(spread.max()))
    thetas = posterior.draw(density, at, rng, draws) if draws else np.empty((0, len(centre)))
    return Settings(
        at.theta, unpack(at.theta, priors), tuple(unpack(theta, priors) for theta in thetas), at.log_evidence
    )


def predict(data: Data, h: Hyperparameters, at: Array) -> tuple[Array, Array]:
    """Posterior mean and standard deviation of the noise-free surface at points (m, d): two arrays (m,)."""
    clean, noise = covariance(data, h)
    factor = cholesky(clean + np.diag(noise), lower=True)
    basis = data.trend(at)
    cross = h.signal**2 * matern52(at, data.x, h.lengths) + basis @ data.basis.T
    mean = cross @ cho_solve((factor, True), data.centred) + float(np.mean(data.y))
    explained = np.einsum("ij,ji->i", cross, cho_solve((factor, True), cross.T))
    return mean, np.sqrt(np.maximum(h.signal**2 + (basis**2).sum(axis=1) - explained, 0.0))


def draw_functions(data: Data, h: Hyperparameters, at: Array, draws: int, rng: np.random.Generator) -> Array:
    """Whole functions from the posterior, evaluated at points (m, d): shape (draws, m)."""
    d = data.x.shape[1]
    # Matern-5/2's spectral density is a multivariate Student-t with five degrees of freedom.
    omega = rng.standard_normal((FEATURES, d)) * np.sqrt(5.0 / rng.chisquare(5.0, (FEATURES, 1))) / h.lengths
    weights = rng.standard_normal((2, FEATURES, draws)) * (h.signal * np.sqrt(1.0 / FEATURES))
    slopes = rng.standard_normal((data.trend(data.x[:1]).shape[1], draws))

    def prior(x: Array) -> Array:
        # Waves in single precision, which processors do eight at a time; the sums keep six digits.
        angle = (x @ omega.T).astype(np.float32)
        waves = np.cos(angle) @ weights[0].astype(np.float32) + np.sin(angle) @ weights[1].astype(np.float32)
        return np.asarray(waves + data.trend(x) @ slopes, dtype=np.float64)

    clean, noise = covariance(data, h)
    factor = cholesky(clean + np.diag(noise), lower=True)
    noises = rng.standard_normal((len(noise), draws)) * np.sqrt(noise)[:, None]
    residual = data.centred[:, None] - prior(data.x) - noises
    basis = data.trend(at)
    cross = h.signal**2 * matern52(at, data.x, h.lengths) + basis @ data.basis.T
    drawn = prior(at) + cross @ cho_solve((factor, True), residual)
    return np.asarray(drawn.T + float(np.mean(data.y)), dtype=np.float64)
