"""A hierarchical normal model of cells: an intercept for each group and a slope on log budget, partially pooled.

    theta_i = a + sum_f e_f[level of i] + (b + d[workload of i]) t_i + covariates_i · c + r_i

with normal priors on a, b and c, e_f ~ N(0, between_f^2), d ~ N(0, slope_between^2), r ~ N(0, within^2), and theta_i
seen through the cell's own likelihood. All but the standard deviations is integrated exactly; these have log-normal
priors and are integrated by importance sampling (`surrogate.posterior`). Likelihoods that are not normal are matched by
normal ones where the model puts theta_i (`analysis.trends.sites`). Leave-one-cell-out predictions are exact given those
(Rasmussen and Williams 2006, eq. 5.12).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate import posterior
from phitune.analysis.trends.likelihood import Likelihoods
from phitune.analysis.trends.sites import LEAST_DENSITY, cavities, first_sites, inverse, matched, normal_density

Array = NDArray[np.float64]

INTERCEPT_SD = 3.0
SLOPE_SD = 1.0
COVARIATE_SD = 1.0
# Medians of the standard deviations' priors; each may well be e times more or less.
BETWEEN, SLOPE_BETWEEN, WITHIN = 0.5, 0.1, 0.15
PRIOR_SPREAD = 1.0
GROUP = "workload"


@dataclass(frozen=True)
class Cells:
    """What is known of n cells.

    Attributes:
        t: Log budget less that of a reference budget, shape (n,).
        levels: For each factor (workload, and optimizer or data set where they vary) each cell's level.
        seen: The cells' likelihoods of theta.
        covariates: Standardised predictors, shape (n, q).
    """

    t: Array
    levels: Mapping[str, tuple[str, ...]]
    seen: Likelihoods
    covariates: Array = field(default_factory=lambda: np.empty((0, 0)))

    def take(self, rows: NDArray[np.bool_]) -> "Cells":
        """Some of the cells, by a mask (n,)."""
        levels = {f: tuple(v for v, keep in zip(all_, rows, strict=True) if keep) for f, all_ in self.levels.items()}
        covariates = self.covariates[rows] if self.covariates.size else self.covariates
        return Cells(self.t[rows], levels, self.seen.take(rows), covariates)

    def at_level(self, factor: str, level: str | None) -> Array:
        """1 for the cells at a level of a factor, 0 for the others, shape (n,)."""
        return np.asarray(self._arrays[factor] == level, dtype=np.float64)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.object_]]:
        return {f: np.array(known, dtype=object) for f, known in self.levels.items()}


@dataclass(frozen=True)
class Form:
    """Which model: with a slope or without; partially pooled, or an intercept and slope a group by itself."""

    slope: bool
    pooled: bool = True


@dataclass(frozen=True)
class Line:
    """theta = intercept + slope · t for one group, or for one not seen yet.

    Attributes:
        mean: Of (intercept, slope), shape (2,).
        covariance: Shape (2, 2).
        within: Standard deviation of a cell about the line.
    """

    mean: Array
    covariance: Array
    within: float


@dataclass(frozen=True)
class _Parts:
    """Covariance of theta as a sum of known matrices, each times the square of a standard deviation.

    A diagonal matrix is given by its diagonal, shape (n,).
    """

    fixed: Array
    names: tuple[str, ...]
    matrices: tuple[Array, ...]
    medians: Array

    def covariance(self, theta: Array, noise: Array) -> Array:
        """Of what is seen through sites of these variances (n,)."""
        total = self.fixed.copy()
        for value, matrix in zip(np.exp(2.0 * theta), self.matrices, strict=True):
            if matrix.ndim == 1:
                total.flat[:: len(matrix) + 1] += value * matrix
            else:
                total += value * matrix
        total.flat[:: len(noise) + 1] += noise
        return total


@dataclass(frozen=True)
class Round:
    """What a round of fitting came to.

    Attributes:
        sd: Log standard deviations, by name.
        site_mean, site_variance: The cells' sites, shape (n,).
    """

    sd: Mapping[str, float]
    site_mean: Array
    site_variance: Array


@dataclass(frozen=True)
class Hierarchy:
    """A fitted model; made by `fit`."""

    cells: Cells
    form: Form
    parts: _Parts
    first_round: Round
    settings: Array
    site_mean: Array
    site_variance: Array

    def begun(self, rows: NDArray[np.bool_]) -> Round:
        """The first round of a fit to some of the cells, by a mask (n,), taken from that to all of them."""
        first = self.first_round
        return Round(first.sd, first.site_mean[rows], first.site_variance[rows])

    def line(self, levels: Mapping[str, str], covariates: Array | None = None) -> Line:
        """The line of a group; a level that no cell has, or is not given, is a new one.

        Args:
            levels: Level by factor.
            covariates: The group's predictors, shape (q,).
        """
        same = {f: self.cells.at_level(f, levels.get(f)) for f in self.cells.levels}
        pairs = zip(self.settings, self._precisions, strict=True)
        lines = [self._line(theta, precision, same, covariates) for theta, precision in pairs]
        mean = np.mean([line.mean for line in lines], axis=0)
        apart = np.array([line.mean - mean for line in lines])
        covariance = np.mean([line.covariance for line in lines], axis=0) + apart.T @ apart / len(lines)
        return Line(mean, covariance, float(np.sqrt(np.mean([line.within**2 for line in lines]))))

    def held_out(self) -> Array:
        """Log density of what each cell says, predicted from the others, shape (n,)."""
        grid, seen, powers = self.cells.seen.grid, self.cells.seen.values, self.cells.seen.powers
        density, weight = [], []
        for theta in self.settings:
            mean, variance = cavities(
                self.parts.covariance(theta, self.site_variance), self.site_mean, self.site_variance
            )
            normal = normal_density(powers, mean, variance) + LEAST_DENSITY
            density.append(np.einsum("ij,ij->i", seen, normal) * (grid[1] - grid[0]))
            # The settings were drawn with the cell in: weigh them as if it had been left out.
            total = variance + self.site_variance
            weight.append(np.sqrt(total) * np.exp(np.minimum(0.5 * (self.site_mean - mean) ** 2 / total, 20.0)))
        weights = np.array(weight)
        return np.asarray(np.log((np.array(density) * weights).sum(axis=0) / weights.sum(axis=0)), dtype=np.float64)

    @cached_property
    def _precisions(self) -> list[Array]:
        """Inverse covariance of what is seen through the sites at each setting."""
        return [inverse(self.parts.covariance(theta, self.site_variance)) for theta in self.settings]

    def _line(self, theta: Array, precision: Array, same: Mapping[str, Array], covariates: Array | None) -> Line:
        cells, sd = self.cells, dict(zip(self.parts.names, np.exp(theta), strict=True))
        slope_own = sd.get("slope", 0.0) if self.form.pooled else SLOPE_SD
        slope_all = SLOPE_SD if self.form.slope and self.form.pooled else 0.0
        effects = {f: sd.get(f, INTERCEPT_SD if f == GROUP and not self.form.pooled else 0.0) for f in same}
        level = INTERCEPT_SD**2 + sum(effects[f] ** 2 * same[f] for f in same)
        own = INTERCEPT_SD**2 + sum(value**2 for value in effects.values())
        if cells.covariates.size:
            z = np.zeros(cells.covariates.shape[1]) if covariates is None else covariates
            level = level + COVARIATE_SD**2 * cells.covariates @ z
            own += COVARIATE_SD**2 * float(z @ z)
        slope = (slope_all**2 + slope_own**2 * same[GROUP]) * cells.t if self.form.slope else 0.0 * cells.t
        slope_variance = slope_all**2 + slope_own**2 if self.form.slope else 0.0
        cross = np.stack([np.broadcast_to(level, cells.t.shape), slope])
        solved = precision @ cross.T
        return Line(solved.T @ self.site_mean, np.diag([own, slope_variance]) - cross @ solved, float(sd["within"]))


def fit(cells: Cells, form: Form, seed: int = 0, draws: int = 16, begun: Round | None = None) -> Hierarchy:
    """Fit one form of the model.

    Args:
        cells: At least one.
        form: Which.
        seed: Of the draws of the standard deviations.
        draws: How many; 1 takes the most probable ones alone, which is faster and will do for means.
        begun: The first round, if a fit to nearly the same cells is known: it takes most of the time.

    Returns:
        The fitted model.
    """
    parts = _parts(cells, form)
    centre, spread = np.log(parts.medians), np.full(len(parts.medians), PRIOR_SPREAD)
    rng = np.random.default_rng(seed)

    def improved(last: Round) -> Round:
        mean, variance = last.site_mean, last.site_variance
        density = posterior.with_prior(_likelihood(parts, mean, variance), centre, spread)
        theta = posterior.climb(density, np.array([last.sd[name] for name in parts.names]))
        sites = matched(cells.seen, partial(parts.covariance, theta), mean, variance)
        return Round(dict(zip(parts.names, theta.tolist(), strict=True)), *sites)

    # Two rounds, no more: with the sites held, each makes the standard deviations smaller, and so the next sites.
    first = begun or improved(Round(dict(zip(parts.names, centre, strict=True)), *first_sites(cells.seen)))
    last = improved(first)
    theta, mean, variance = np.array(list(last.sd.values())), last.site_mean, last.site_variance
    if draws > 1:
        density = posterior.with_prior(_likelihood(parts, mean, variance), centre, spread)
        settings = posterior.draw(density, posterior.mode(density, [theta], PRIOR_SPREAD), rng, draws, 3 * draws)
    else:
        settings = theta[None, :]
    return Hierarchy(cells, form, parts, first, settings, mean, variance)


def _parts(cells: Cells, form: Form) -> _Parts:
    n, t = len(cells.t), cells.t
    fixed = np.full((n, n), INTERCEPT_SD**2)
    if cells.covariates.size:
        fixed += COVARIATE_SD**2 * cells.covariates @ cells.covariates.T
    codes = {f: np.unique(known, return_inverse=True)[1] for f, known in cells.levels.items()}
    same = {f: (code[:, None] == code[None, :]).astype(np.float64) for f, code in codes.items()}
    named: dict[str, tuple[Array, float]] = {}
    if not form.pooled:
        fixed += same[GROUP] * (INTERCEPT_SD**2 + (SLOPE_SD**2 * np.outer(t, t) if form.slope else 0.0))
    else:
        fixed += SLOPE_SD**2 * np.outer(t, t) if form.slope else 0.0
        named |= {f: (matrix, BETWEEN) for f, matrix in same.items() if len(set(cells.levels[f])) > 1}
        if form.slope and GROUP in named:
            named["slope"] = (same[GROUP] * np.outer(t, t), SLOPE_BETWEEN)
    named["within"] = (np.ones(n), WITHIN)
    matrices = tuple(matrix for matrix, _ in named.values())
    return _Parts(fixed, tuple(named), matrices, np.array([median for _, median in named.values()]))


def _likelihood(parts: _Parts, mean: Array, variance: Array) -> posterior.Density:
    def value(theta: Array) -> float:
        return posterior.log_normal(mean, parts.covariance(theta, variance))

    def slope(theta: Array) -> tuple[float, Array]:
        height, slopes = posterior.log_normal_slope(mean, parts.covariance(theta, variance), parts.matrices)
        return height, 2.0 * np.exp(2.0 * theta) * slopes

    return posterior.Density(value, slope)
