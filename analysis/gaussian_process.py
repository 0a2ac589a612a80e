"""A small Gaussian process over (log phi, log mean LR), made for intervals on an argmin.

Why not scikit-learn's: every point here has its own noise (predicted ends of stopped trials are less certain than
measured ones), the mean is a quadratic bowl, hyperparameters are integrated over instead of maximised, and whole
functions are drawn so that each draw can be minimised by itself. scikit-learn's regressor is the reference twin in
the tests.

Model: y = quadratic trend(x) + f(x) + e, f ~ GP(0, Matern-5/2, one lengthscale a dimension),
e_i ~ N(0, noise^2 + extra_i^2). The trend's coefficients have a wide Gaussian prior.
Draws use pathwise conditioning (Wilson et al., ICML 2020, eq. 13) on random Fourier features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

Array = NDArray[np.float64]

SQRT5 = 5.0**0.5
FEATURES = 300
TREND_SCALE = 3.0


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
    """

    x: Array
    y: Array
    extra: Array
    lower: Array
    upper: Array

    def trend(self, x: Array) -> Array:
        """The trend's basis 1, a, b, a^2, ab, b^2, ... at x (m, d): shape (m, p), scaled by the coefficients' prior."""
        z = 2.0 * (x - self.lower) / (self.upper - self.lower) - 1.0
        d = z.shape[1]
        columns = [np.ones(len(z)), *z.T] + [z[:, i] * z[:, j] for i in range(d) for j in range(i, d)]
        scale = TREND_SCALE * max(float(np.std(self.y)), 1e-3)
        return np.asarray(scale * np.stack(columns, axis=1), dtype=np.float64)

    @property
    def centred(self) -> Array:
        """y less its mean, shape (n,)."""
        return self.y - float(np.mean(self.y))


def matern52(a: Array, b: Array, lengths: Array) -> Array:
    """Matern-5/2 correlation between rows of a (n, d) and b (m, d): shape (n, m)."""
    squares = [((a[:, None, k] - b[None, :, k]) / lengths[k]) ** 2 for k in range(a.shape[1])]
    scaled: Array = SQRT5 * np.sqrt(np.add.reduce(squares))
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
    basis = data.trend(data.x)
    clean = h.signal**2 * matern52(data.x, data.x, h.lengths) + basis @ basis.T
    return clean, h.noise**2 + data.extra**2


def log_marginal(data: Data, h: Hyperparameters) -> float:
    """Log marginal likelihood of the centred values; -inf where the covariance is not positive definite."""
    clean, noise = covariance(data, h)
    try:
        factor = cholesky(clean + np.diag(noise), lower=True)
    except LinAlgError:
        return -np.inf
    weights = cho_solve((factor, True), data.centred)
    return float(-0.5 * data.centred @ weights - np.log(np.diag(factor)).sum() - 0.5 * len(data.y) * np.log(2 * np.pi))


def _log_posterior(data: Data, priors: Priors) -> Callable[[Array], float]:
    centre, spread = priors.centre_and_spread()

    def value(theta: Array) -> float:
        z = (theta - centre) / spread
        if np.any(np.abs(z) > 6.0):
            return -1e10
        return max(log_marginal(data, unpack(theta, priors)) - 0.5 * float(z @ z), -1e10)

    return value


def _climb(f: Callable[[Array], float], start: Array) -> Array:
    """Where f is highest, by L-BFGS from a start."""

    def downhill(theta: Array) -> float:
        return -f(theta)

    found = minimize(downhill, start.ravel(), method="L-BFGS-B", options={"maxiter": 40})
    return np.asarray(found.x, dtype=np.float64)


def _hessian(f: Callable[[Array], float], at: Array, step: float = 0.05) -> Array:
    """Central second differences of f at a point (p,): shape (p, p)."""
    p = len(at)
    e = np.eye(p) * step
    out = np.zeros((p, p))
    for i in range(p):
        for j in range(i, p):
            corners = f(at + e[i] + e[j]) - f(at + e[i] - e[j]) - f(at - e[i] + e[j]) + f(at - e[i] - e[j])
            out[i, j] = out[j, i] = corners / (4 * step**2)
    return out


def hyperparameter_draws(
    data: Data, priors: Priors, rng: np.random.Generator, draws: int = 12, proposals: int = 60
) -> tuple[Hyperparameters, list[Hyperparameters]]:
    """The most probable hyperparameters, and draws from their posterior.

    Draws come by importance resampling from a Student-t (4 degrees of freedom) fitted to the posterior's curvature
    at its mode: maximised hyperparameters alone give intervals that are too narrow.

    Args:
        data: The points.
        priors: Weak priors, which also bound the hyperparameters (six spreads).
        rng: Source of randomness.
        draws: Number of settings returned.
        proposals: Number of settings weighed.

    Returns:
        The mode, and a list of `draws` settings (with repeats).
    """
    target = _log_posterior(data, priors)
    centre, spread = priors.centre_and_spread()
    starts = [centre, centre + spread * np.where(np.arange(len(centre)) == 0, 1.0, -0.7)]
    mode = max((_climb(target, start) for start in starts), key=target)
    values, vectors = np.linalg.eigh(-_hessian(target, mode))
    # A direction in which the likelihood says nothing has the prior's spread at most.
    scales = np.minimum(1.0 / np.sqrt(np.maximum(values, 1e-6)), float(spread.max()))
    z = rng.standard_normal((proposals, len(mode))) * np.sqrt(4.0 / rng.chisquare(4.0, (proposals, 1)))
    thetas = mode + 1.1 * (z * scales) @ vectors.T
    log_proposal = -0.5 * (4.0 + len(mode)) * np.log1p((z**2).sum(axis=1) / 4.0)
    log_weight = np.array([target(t) for t in thetas]) - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    positions = (np.arange(draws) + rng.uniform()) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), positions), proposals - 1)
    return unpack(mode, priors), [unpack(thetas[i], priors) for i in chosen]


def predict(data: Data, h: Hyperparameters, at: Array) -> tuple[Array, Array]:
    """Posterior mean and standard deviation of the noise-free surface at points (m, d): two arrays (m,)."""
    clean, noise = covariance(data, h)
    factor = cholesky(clean + np.diag(noise), lower=True)
    basis = data.trend(at)
    cross = h.signal**2 * matern52(at, data.x, h.lengths) + basis @ data.trend(data.x).T
    mean = cross @ cho_solve((factor, True), data.centred) + float(np.mean(data.y))
    explained = np.einsum("ij,ji->i", cross, cho_solve((factor, True), cross.T))
    return mean, np.sqrt(np.maximum(h.signal**2 + (basis**2).sum(axis=1) - explained, 0.0))


def draw_functions(data: Data, h: Hyperparameters, at: Array, draws: int, rng: np.random.Generator) -> Array:
    """Whole functions from the posterior, evaluated at points (m, d): shape (draws, m)."""
    d = data.x.shape[1]
    # Matern-5/2's spectral density is a multivariate Student-t with five degrees of freedom.
    omega = rng.standard_normal((FEATURES, d)) * np.sqrt(5.0 / rng.chisquare(5.0, (FEATURES, 1))) / h.lengths

    def features(x: Array) -> Array:
        angle = x @ omega.T
        return np.concatenate(
            [h.signal * np.sqrt(1.0 / FEATURES) * np.hstack([np.cos(angle), np.sin(angle)]), data.trend(x)], axis=1
        )

    clean, noise = covariance(data, h)
    factor = cholesky(clean + np.diag(noise), lower=True)
    here = features(data.x)
    weights = rng.standard_normal((here.shape[1], draws))
    noises = rng.standard_normal((len(noise), draws)) * np.sqrt(noise)[:, None]
    residual = data.centred[:, None] - here @ weights - noises
    basis = data.trend(at)
    cross = h.signal**2 * matern52(at, data.x, h.lengths) + basis @ data.trend(data.x).T
    drawn = features(at) @ weights + cross @ cho_solve((factor, True), residual)
    return np.asarray(drawn.T + float(np.mean(data.y)), dtype=np.float64)
