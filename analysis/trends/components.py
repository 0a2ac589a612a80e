"""Covariance of the hierarchical model as a sum of variance components."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate import posterior
from phitune.analysis.trends.observations import GROUP, Form, Observations

Array = NDArray[np.float64]

# Prior standard deviations of the common intercept, slope and covariate coefficients.
INTERCEPT_SD = 3.0
SLOPE_SD = 1.0
COVARIATE_SD = 1.0
# Medians of the standard deviations' priors; each may well be e times more or less.
BETWEEN, SLOPE_BETWEEN, WITHIN = 0.5, 0.1, 0.15
PRIOR_SPREAD = 1.0


@dataclass(frozen=True)
class Components:
    """Covariance of theta: a fixed matrix, and matrices that are each scaled by the square of a standard deviation.

    Attributes:
        fixed: Shape (n, n).
        names: Of the standard deviations.
        matrices: One for each name, shape (n, n); shape (n,) for a diagonal one.
        medians: Of the standard deviations' log-normal priors.
    """

    fixed: Array
    names: tuple[str, ...]
    matrices: tuple[Array, ...]
    medians: Array

    @classmethod
    def of(cls, data: Observations, form: Form) -> "Components":
        """The components of a form of the model."""
        n, t = len(data.t), data.t
        fixed = np.full((n, n), INTERCEPT_SD**2)
        if data.covariates.size:
            fixed += COVARIATE_SD**2 * data.covariates @ data.covariates.T
        codes = {f: np.unique(levels, return_inverse=True)[1] for f, levels in data.levels.items()}
        same = {f: (code[:, None] == code[None, :]).astype(np.float64) for f, code in codes.items()}
        named: dict[str, tuple[Array, float]] = {}
        if not form.pooled:
            fixed += same[GROUP] * (INTERCEPT_SD**2 + (SLOPE_SD**2 * np.outer(t, t) if form.slope else 0.0))
        else:
            fixed += SLOPE_SD**2 * np.outer(t, t) if form.slope else 0.0
            named |= {f: (matrix, BETWEEN) for f, matrix in same.items() if len(set(data.levels[f])) > 1}
            if form.slope and GROUP in named:
                named["slope"] = (same[GROUP] * np.outer(t, t), SLOPE_BETWEEN)
        named["within"] = (np.ones(n), WITHIN)
        matrices = tuple(matrix for matrix, _ in named.values())
        return cls(fixed, tuple(named), matrices, np.array([median for _, median in named.values()]))

    def covariance(self, log_sd: Array, site_variance: Array) -> Array:
        """Covariance (n, n) of the cells' sites, at log standard deviations (p,) and variances of the sites (n,)."""
        total = self.fixed.copy()
        for value, matrix in zip(np.exp(2.0 * log_sd), self.matrices, strict=True):
            if matrix.ndim == 1:
                total.flat[:: len(matrix) + 1] += value * matrix
            else:
                total += value * matrix
        total.flat[:: len(site_variance) + 1] += site_variance
        return total

    def log_sd_posterior(self, site_mean: Array, site_variance: Array) -> posterior.Density:
        """Posterior density of the log standard deviations, given the cells' sites."""

        def value(log_sd: Array) -> float:
            return posterior.log_normal(site_mean, self.covariance(log_sd, site_variance))

        def slope(log_sd: Array) -> tuple[float, Array]:
            covariance = self.covariance(log_sd, site_variance)
            height, slopes = posterior.log_normal_slope(site_mean, covariance, self.matrices)
            return height, 2.0 * np.exp(2.0 * log_sd) * slopes

        centre, spread = np.log(self.medians), np.full(len(self.medians), PRIOR_SPREAD)
        return posterior.with_prior(posterior.Density(value, slope), centre, spread)
