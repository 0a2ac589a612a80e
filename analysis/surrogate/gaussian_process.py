"""A small Gaussian process, made for intervals on an argmin and for thousands of proposals.

Why not scikit-learn's: whole functions are drawn here, for each of several settings of the hyperparameters, so that
each draw can be minimised; levels that trials share (a family's, a cell's, a seed's) are integrated out; and its
likelihood with gradient takes four times as long. It is the reference twin in the tests.

Model: y = levels w + f(x) + own noise + noise shared by a seed, with w ~ N(0, 1), f ~ GP(0, signal^2 Matern-5/2, one
lengthscale a dimension). Where one of the inputs is the budget, a share of f's variance is each budget's own: what is
best moves from one budget to the next, and not only smoothly.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from phitune.analysis.surrogate import posterior

Array = NDArray[np.float64]

SQRT5 = 5.0**0.5
MOST_OWN = 0.9


@dataclass(frozen=True)
class Priors:
    """Weak log-normal priors of the hyperparameters, as (median, sd of the logarithm).

    Attributes:
        lengths: Of each lengthscale, in units of x.
        signal: Of f's standard deviation, in units of y.
        noise: Of the standard deviation of a trial's own noise; None when trials are deterministic.
        shared: Of the standard deviation of what all trials of a seed share; None when no seed repeats.
        floor: Added in quadrature to every point's noise: the misfit that a smooth surface cannot follow.
        budget: Which input is the budget; None where there is one budget.
        own: Of the share of f's variance that is each budget's own.
    """

    lengths: tuple[tuple[float, float], ...]
    signal: tuple[float, float] = (0.4, 0.7)
    noise: tuple[float, float] | None = (0.07, 1.0)
    shared: tuple[float, float] | None = None
    floor: float = 1e-3
    budget: int | None = None
    own: tuple[float, float] = (0.003, 1.5)

    @property
    def items(self) -> list[tuple[float, float]]:
        """All hyperparameters' priors, in `theta`'s order."""
        own = None if self.budget is None else self.own
        return [*self.lengths, self.signal, *(each for each in (self.noise, self.shared, own) if each is not None)]

    def centre_and_spread(self) -> tuple[Array, Array]:
        """Medians (as logarithms) and standard deviations of all hyperparameters, in `theta`'s order."""
        return np.log([item[0] for item in self.items]), np.array([item[1] for item in self.items])


@dataclass(frozen=True)
class Data:
    """Points to condition on.

    Attributes:
        x: Inputs, shape (n, d).
        levels: Of each point its part in each level, shape (n, p): the level's prior standard deviation, or 0.
        y: Values, shape (n,).
        extra: Variance of each point's additional noise, shape (n,).
        seed: The seed of each point, shape (n,); points without a seed in common have different ones.
    """

    x: Array
    levels: Array
    y: Array
    extra: Array
    seed: NDArray[np.int64]

    @cached_property
    def level_covariance(self) -> Array:
        """Covariance of the levels between the points, shape (n, n)."""
        return np.asarray(self.levels @ self.levels.T, dtype=np.float64)

    @cached_property
    def squares(self) -> Array:
        """Squared differences of the points along each input, shape (d, n, n)."""
        return np.asarray((self.x.T[:, :, None] - self.x.T[:, None, :]) ** 2, dtype=np.float64)

    @cached_property
    def same_seed(self) -> Array:
        """1 where two points have the same seed, shape (n, n)."""
        return np.asarray(self.seed[:, None] == self.seed[None, :], dtype=np.float64)

    def take(self, rows: NDArray[np.int64]) -> "Data":
        """Some of the points."""
        return Data(self.x[rows], self.levels[rows], self.y[rows], self.extra[rows], self.seed[rows])


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters.

    Attributes:
        lengths: Lengthscales, shape (d,).
        signal: f's standard deviation.
        noise: Standard deviation of a trial's own noise.
        shared: Standard deviation of what trials of a seed share.
        floor: Standard deviation of the misfit.
        budget: Which input is the budget; None where there is one budget.
        own: Share of f's variance that is each budget's own.
    """

    lengths: Array
    signal: float
    noise: float
    shared: float = 0.0
    floor: float = 1e-3
    budget: int | None = None
    own: float = 0.0

    @property
    def own_variance(self) -> float:
        """Variance of a trial's own noise, misfit included."""
        return self.noise**2 + self.floor**2

    @property
    def variance(self) -> float:
        """Variance of a trial's noise, that of its seed included."""
        return self.own_variance + self.shared**2


def unpack(theta: Array, priors: Priors) -> Hyperparameters:
    """Hyperparameters from their logarithms in the order of `Priors.items`."""
    d = len(priors.lengths)
    rest = iter(np.exp(theta[d:]).tolist())
    signal = next(rest)
    noise = next(rest) if priors.noise is not None else 0.0
    shared = next(rest) if priors.shared is not None else 0.0
    own = min(next(rest), MOST_OWN) if priors.budget is not None else 0.0
    return Hyperparameters(np.exp(theta[:d]), signal, noise, shared, priors.floor, priors.budget, own)


def matern52(a: Array, b: Array, lengths: Array) -> Array:
    """Matern-5/2 correlation between rows of a (n, d) and b (m, d): shape (n, m)."""
    a, b = a * (SQRT5 / lengths), b * (SQRT5 / lengths)
    scaled = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)
    # In two arrays: with one more for each operation it takes 1.75 times as long.
    out = a @ b.T
    out *= 2.0
    scaled -= out
    np.sqrt(np.maximum(scaled, 0.0, out=scaled), out=scaled)
    np.divide(scaled, 3.0, out=out)
    out += 1.0
    out *= scaled
    out += 1.0
    out *= np.exp(np.negative(scaled, out=scaled), out=scaled)
    return np.asarray(out, dtype=np.float64)


def in_common(a: Array, b: Array, h: Hyperparameters) -> Array | float:
    """The share of f's variance that rows of a (n, d) and b (m, d) have in common, wherever they are: shape (n, m)."""
    return 1.0 if h.budget is None else 1.0 - h.own * (a[:, h.budget, None] != b[:, h.budget])


def covariance(data: Data, h: Hyperparameters) -> Array:
    """Covariance of the values, noise included, shape (n, n)."""
    smooth = matern52(data.x, data.x, h.lengths)
    smooth *= h.signal**2 * in_common(data.x, data.x, h)
    smooth += data.level_covariance
    if h.shared:
        smooth += h.shared**2 * data.same_seed
    smooth.flat[:: len(smooth) + 1] += h.own_variance + data.extra
    return smooth


def log_marginal(data: Data, priors: Priors, theta: Array) -> float:
    """Log marginal likelihood of the values at log hyperparameters (see `unpack`)."""
    return posterior.log_normal(data.y, covariance(data, unpack(theta, priors)))


def log_marginal_slope(data: Data, priors: Priors, theta: Array) -> tuple[float, Array]:
    """`log_marginal` and its gradient."""
    h = unpack(theta, priors)
    squares = [square / length**2 for square, length in zip(data.squares, h.lengths, strict=True)]
    scaled = SQRT5 * np.sqrt(sum(squares))
    common = in_common(data.x, data.x, h)
    decay = h.signal**2 * common * np.exp(-scaled)
    slope = decay * (1.0 + scaled)
    smooth = slope + decay * np.square(scaled) / 3.0
    slope *= 5.0 / 3.0
    derivatives = [*(slope * square for square in squares), 2.0 * smooth]
    if priors.noise is not None:
        derivatives.append(np.full(len(data.y), 2.0 * h.noise**2))
    whole = smooth + data.level_covariance
    if priors.shared is not None:
        of_seed = h.shared**2 * data.same_seed
        derivatives.append(2.0 * of_seed)
        whole += of_seed
    if h.budget is not None:
        derivatives.append(smooth * (1.0 - 1.0 / common))
    whole.flat[:: len(whole) + 1] += h.own_variance + data.extra
    return posterior.log_normal_slope(data.y, whole, derivatives)


def density(data: Data, priors: Priors) -> posterior.Density:
    """Log posterior density of the log hyperparameters, up to the evidence."""
    likelihood = posterior.Density(partial(log_marginal, data, priors), partial(log_marginal_slope, data, priors))
    return posterior.with_prior(likelihood, *priors.centre_and_spread())


def most_probable(data: Data, priors: Priors, start: Array | None = None) -> Array:
    """The hyperparameters' mode, as logarithms.

    Args:
        data: The points.
        priors: Weak priors.
        start: Logarithms from which to climb, beside the priors' medians.
    """
    target = density(data, priors)
    starts = [priors.centre_and_spread()[0], *([] if start is None else [start])]
    return max((posterior.climb(target, each) for each in starts), key=target.value)


@dataclass(frozen=True)
class Settings:
    """Posterior of the hyperparameters.

    Attributes:
        mode: The mode.
        draws: Draws, with repeats.
        log_evidence: Log density of the data under the model, hyperparameters integrated out.
    """

    mode: Hyperparameters
    draws: tuple[Hyperparameters, ...]
    log_evidence: float


def settings(data: Data, priors: Priors, rng: np.random.Generator, draws: int = 12) -> Settings:
    """The hyperparameters' posterior (`analysis.surrogate.posterior`).

    Args:
        data: The points.
        priors: Weak priors, which also bound the hyperparameters.
        rng: Source of randomness.
        draws: Number of draws; 0 for none.
    """
    centre, spread = priors.centre_and_spread()
    target = density(data, priors)
    at = posterior.mode(target, [centre, centre - 0.7 * spread], float(spread.max()))
    thetas = posterior.draw(target, at, rng, draws) if draws else np.empty((0, len(centre)))
    return Settings(unpack(at.theta, priors), tuple(unpack(theta, priors) for theta in thetas), at.log_evidence)


def factor(data: Data, h: Hyperparameters) -> Array:
    """Lower Cholesky factor of the values' covariance.

    Raises:
        LinAlgError: The covariance is not positive definite.
    """
    lower = posterior.factor(covariance(data, h))
    if lower is None:
        raise LinAlgError("the covariance of the points is not positive definite")
    return lower
