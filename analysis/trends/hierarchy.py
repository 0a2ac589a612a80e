"""A hierarchical normal model of cells: an intercept for each group and a slope on log budget, partially pooled.

    theta_i = a + sum_f e_f[level of i] + (b + d[workload of i]) t_i + covariates_i · c + r_i

with normal priors on a, b and c, e_f ~ N(0, between_f^2), d ~ N(0, slope_between^2), r ~ N(0, within^2), and theta_i
observed through the cell's likelihood. Everything but the standard deviations is integrated exactly; these have
log-normal priors and are integrated by importance sampling (`surrogate.posterior`). Each likelihood is approximated by
a Gaussian where the model puts theta_i (`trends.sites`). Leave-one-cell-out predictions are exact given those
approximations (Rasmussen and Williams 2006, eq. 5.12).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate import posterior
from phitune.analysis.trends.components import COVARIATE_SD, INTERCEPT_SD, PRIOR_SPREAD, SLOPE_SD, Components
from phitune.analysis.trends.observations import GROUP, Form, Observations
from phitune.analysis.trends.sites import LEAST_DENSITY, cavities, initial_sites, inverse, match_sites, normal_density

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """theta = intercept + slope · t for one group, or for a new one.

    Attributes:
        mean: Of (intercept, slope), shape (2,).
        covariance: Shape (2, 2).
        within: Standard deviation of a cell about the line.
    """

    mean: Array
    covariance: Array
    within: float


@dataclass(frozen=True)
class WarmStart:
    """An intermediate state of a fit, from which a fit to the same cells or a subset can start.

    Attributes:
        log_sd: Log standard deviations, by name.
        site_mean, site_variance: The cells' sites, shape (n,).
    """

    log_sd: Mapping[str, float]
    site_mean: Array
    site_variance: Array

    def take(self, rows: NDArray[np.bool_]) -> "WarmStart":
        """The warm start for the subset of the cells that a mask (n,) selects."""
        return WarmStart(self.log_sd, self.site_mean[rows], self.site_variance[rows])


@dataclass(frozen=True)
class Hierarchy:
    """A fitted model; see `fit`.

    Attributes:
        data: What it was fitted to.
        form: Its form.
        components: Its covariance.
        warm_start: For fits to subsets of the cells.
        log_sds: Draws of the log standard deviations, shape (draws, p).
        site_mean, site_variance: The cells' sites, shape (n,).
    """

    data: Observations
    form: Form
    components: Components
    warm_start: WarmStart
    log_sds: Array
    site_mean: Array
    site_variance: Array

    def line(self, levels: Mapping[str, str], covariates: Array | None = None) -> Line:
        """The line of a group; a level that no cell has, or that is missing, is a new one.

        Args:
            levels: Level by factor.
            covariates: The group's predictors, shape (q,).
        """
        same = {f: self.data.at_level(f, levels.get(f)) for f in self.data.levels}
        pairs = zip(self.log_sds, self._precisions, strict=True)
        lines = [self._line(log_sd, precision, same, covariates) for log_sd, precision in pairs]
        mean = np.mean([line.mean for line in lines], axis=0)
        apart = np.array([line.mean - mean for line in lines])
        covariance = np.mean([line.covariance for line in lines], axis=0) + apart.T @ apart / len(lines)
        return Line(mean, covariance, float(np.sqrt(np.mean([line.within**2 for line in lines]))))

    def held_out(self) -> Array:
        """Log predictive density of each cell's likelihood from the other cells, shape (n,)."""
        likelihoods = self.data.likelihoods
        density, weight = [], []
        for log_sd in self.log_sds:
            covariance = self.components.covariance(log_sd, self.site_variance)
            mean, variance = cavities(covariance, self.site_mean, self.site_variance)
            normal = normal_density(likelihoods.powers, mean, variance) + LEAST_DENSITY
            density.append(np.einsum("ij,ij->i", likelihoods.values, normal) * likelihoods.step)
            # The draws rest on the cell too: weigh them as if it had been left out.
            total = variance + self.site_variance
            weight.append(np.sqrt(total) * np.exp(np.minimum(0.5 * (self.site_mean - mean) ** 2 / total, 20.0)))
        weights = np.array(weight)
        return np.asarray(np.log((np.array(density) * weights).sum(axis=0) / weights.sum(axis=0)), dtype=np.float64)

    @cached_property
    def _precisions(self) -> list[Array]:
        """Inverse covariance of the sites at each draw of the standard deviations."""
        return [inverse(self.components.covariance(log_sd, self.site_variance)) for log_sd in self.log_sds]

    def _line(self, log_sd: Array, precision: Array, same: Mapping[str, Array], covariates: Array | None) -> Line:
        data, sd = self.data, dict(zip(self.components.names, np.exp(log_sd), strict=True))
        slope_own = sd.get("slope", 0.0) if self.form.pooled else SLOPE_SD
        slope_all = SLOPE_SD if self.form.slope and self.form.pooled else 0.0
        effects = {f: sd.get(f, INTERCEPT_SD if f == GROUP and not self.form.pooled else 0.0) for f in same}
        level = INTERCEPT_SD**2 + sum(effects[f] ** 2 * same[f] for f in same)
        own = INTERCEPT_SD**2 + sum(value**2 for value in effects.values())
        if data.covariates.size:
            z = np.zeros(data.covariates.shape[1]) if covariates is None else covariates
            level = level + COVARIATE_SD**2 * data.covariates @ z
            own += COVARIATE_SD**2 * float(z @ z)
        slope = (slope_all**2 + slope_own**2 * same[GROUP]) * data.t if self.form.slope else 0.0 * data.t
        slope_variance = slope_all**2 + slope_own**2 if self.form.slope else 0.0
        cross = np.stack([np.broadcast_to(level, data.t.shape), slope])
        solved = precision @ cross.T
        return Line(solved.T @ self.site_mean, np.diag([own, slope_variance]) - cross @ solved, float(sd["within"]))


def fit(
    data: Observations, form: Form, seed: int = 0, draws: int = 16, warm_start: WarmStart | None = None
) -> Hierarchy:
    """Fit one form of the model.

    Args:
        data: At least one cell.
        form: The form.
        seed: Of the draws of the standard deviations.
        draws: Number of draws; 1 takes the mode alone, which is faster and precise enough for means.
        warm_start: From a fit to nearly the same cells; saves most of the time.

    Returns:
        The fitted model.
    """
    components = Components.of(data, form)

    def improve(state: WarmStart) -> WarmStart:
        mean, variance = state.site_mean, state.site_variance
        start = np.array([state.log_sd[name] for name in components.names])
        log_sd = posterior.climb(components.log_sd_posterior(mean, variance), start)
        sites = match_sites(data.likelihoods, partial(components.covariance, log_sd), mean, variance)
        return WarmStart(dict(zip(components.names, log_sd.tolist(), strict=True)), *sites)

    # Two rounds, no more: with the sites held, each makes the standard deviations smaller, and so the next sites.
    if warm_start is None:
        medians = dict(zip(components.names, np.log(components.medians), strict=True))
        warm_start = improve(WarmStart(medians, *initial_sites(data.likelihoods)))
    final = improve(warm_start)
    log_sd, mean, variance = np.array(list(final.log_sd.values())), final.site_mean, final.site_variance
    log_sds = log_sd[None, :]
    if draws > 1:
        density = components.log_sd_posterior(mean, variance)
        mode = posterior.mode(density, [log_sd], PRIOR_SPREAD)
        log_sds = posterior.draw(density, mode, np.random.default_rng(seed), draws, 3 * draws)
    return Hierarchy(data, form, components, warm_start, log_sds, mean, variance)
