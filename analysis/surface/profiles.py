"""Draws of the profile: quality against a shape parameter with the LR at its best for every value of it.

Base LR is a nuisance parameter: each function drawn from the posterior is minimised over mean LR at every phi, which
gives a draw of the *profile*.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.outcomes import Points
from phitune.analysis.surface.shapes import Shape
from phitune.analysis.surrogate import gaussian_process as gp
from phitune.analysis.surrogate.function_draws import draw_functions

Array = NDArray[np.float64]

PHI_POINTS = 61
LR_POINTS = 15
SETTINGS = 12
DRAWS = 24
# A trial supports its base LR for phi down to this much below its own (in log phi).
NEIGHBOUR = 0.5
NEIGHBOURS = 5
LR_MARGIN = 0.2
# Prior standard deviations of the trend's coefficients over half the range searched: of log phi (0.5 is half as much
# again of the loss), and of log LR, in standard deviations of the points.
PHI_TREND = 0.5
LR_TREND = 3.0


@dataclass(frozen=True)
class Draws:
    """Posterior draws on a grid of the shape parameter (here: phi).

    Attributes:
        log_phi: The grid, shape (g,).
        profile: Lowest value over the LRs tried at each phi, shape (s, g); recommendations are read off it.
        log_lr: Log mean LR of it, shape (s, g).
        beyond: Lowest value over all LRs up to the highest tried at any phi, shape (s, g): a better phi may lie
            outside the trials, and the interval must say so.
        beyond_lr: Log mean LR of it, shape (s, g).
        noise: Standard deviation between seeds, median over settings.
        highest_tried: The highest base LR that the trials support at each phi, shape (g,).
        window: Log mean LRs considered at each phi, shape (g, `LR_POINTS`).
        data, settings: The surface's data and hyperparameters.
    """

    log_phi: Array
    profile: Array
    log_lr: Array
    beyond: Array
    beyond_lr: Array
    noise: float
    highest_tried: Array
    window: Array
    data: gp.Data
    settings: gp.Settings


def draw_profiles(trials: Points, shape: Shape, deterministic: bool, rng: np.random.Generator) -> Draws:
    """Fit the surface and draw profiles from its posterior.

    Args:
        trials: The cell's points.
        shape: The parameter and its range.
        deterministic: Whether trials have no seed noise.
        rng: Source of randomness.

    Returns:
        `SETTINGS` × `DRAWS` draws.
    """
    log_range = float(np.log(shape.low)), float(np.log(shape.high))
    lower = np.array([log_range[0], trials.x[:, 1].min()])
    upper = np.array([log_range[1], trials.x[:, 1].max() + 1e-6])
    data = gp.Data(trials.x, trials.y, trials.extra, lower, upper, np.array([PHI_TREND, lr_trend(trials)]))
    priors = gp.Priors(noise=None) if deterministic else gp.Priors()
    settings = gp.settings(data, priors, rng, SETTINGS)
    mode = settings.mode
    log_phi = np.linspace(*log_range, PHI_POINTS)
    log_mean = shape.log_mean(log_phi)
    lowest_lr, highest_lr = _base_lr_range(trials, shape, log_phi)
    windows = [
        _lr_windows(data, mode, log_phi, lowest_lr + log_mean, highest + log_mean)
        for highest in (highest_lr, np.full(PHI_POINTS, highest_lr.max()))
    ]
    # Where a phi's windows are the same, as for many, one is enough.
    more = np.flatnonzero(np.any(windows[0] != windows[1], axis=1))
    rows = np.arange(PHI_POINTS), np.arange(PHI_POINTS)
    rows[1][more] = PHI_POINTS + np.arange(len(more))
    lrs = np.concatenate([windows[0], windows[1][more]])
    at = np.stack([np.repeat(np.concatenate([log_phi, log_phi[more]]), LR_POINTS), lrs.ravel()], axis=1)
    surfaces = np.concatenate([draw_functions(data, h, at, DRAWS, rng, LR_POINTS) for h in settings.draws])
    lowest, log_lrs = _profiles(surfaces.reshape(-1, *lrs.shape), lrs)
    profile, beyond = (lowest[:, row] for row in rows)
    log_lr, beyond_lr = (log_lrs[:, row] for row in rows)
    return Draws(
        log_phi=log_phi,
        profile=profile,
        log_lr=log_lr,
        beyond=beyond,
        beyond_lr=beyond_lr,
        noise=0.0 if deterministic else float(np.median([h.noise for h in settings.draws])),
        highest_tried=np.exp(highest_lr),
        window=windows[0],
        data=data,
        settings=settings,
    )


def _profiles(surfaces: Array, window: Array) -> tuple[Array, Array]:
    """Lowest values of surfaces (s, g, l) over the LRs of a window (g, l), and the log LRs of them: both (s, g)."""
    lowest, where = minimise(surfaces)
    return lowest, window[:, 0] + (window[:, 1] - window[:, 0]) * where


def lr_trend(trials: Points) -> float:
    """Prior standard deviation of the trend's coefficients of log LR: wide, as the LR certainly matters."""
    return LR_TREND * max(float(np.std(trials.y)), 1e-3)


def minimise(surfaces: Array) -> tuple[Array, Array]:
    """Minimum along the last axis and its (fractional) index, by a parabola through the lowest point's neighbours."""
    n = surfaces.shape[-1]
    i = np.clip(surfaces.argmin(axis=-1), 1, n - 2)
    left, mid, right = (np.take_along_axis(surfaces, (i + k)[..., None], axis=-1)[..., 0] for k in (-1, 0, 1))
    curvature = left - 2.0 * mid + right
    inside = (mid <= left) & (mid <= right) & (curvature > 0)
    shift = np.where(inside, 0.5 * (left - right) / np.where(curvature > 0, curvature, 1.0), 0.0)
    lowest = np.where(inside, mid - 0.25 * (left - right) * shift, np.minimum(np.minimum(left, mid), right))
    where = np.where(inside, i + shift, np.where(left < right, i - 1, i + 1))
    return lowest, where.astype(np.float64)


def _base_lr_range(trials: Points, shape: Shape, log_phi: Array) -> tuple[Array, Array]:
    """At each phi, the lowest and highest log base LR that the cell's trials support: two arrays (g,).

    A larger phi has the lower LR at every step, so a trial that went well certifies its base LR for larger phi, and one
    that diverged rules it out for smaller phi. Beyond the LRs tried lies, as a rule, a cliff that no smooth surface
    sees. The lowest is that of the lowest mean LR of a completed trial, less a margin: like early stopping itself this
    assumes that the best does not lie where every trial was stopped.
    """
    phi, base = trials.x[:, 0], trials.x[:, 1] - shape.log_mean(trials.x[:, 0])
    # If the mean of the profile grows with the parameter, small values play the part of large phi.
    sign = 1.0 if shape.falls else -1.0
    phi, at = sign * phi, sign * log_phi
    completed, diverged = trials.is_from("completed"), trials.is_from("diverged")
    # A single trial may have had a low LR by chance: at the low end of phi take five at least.
    nearby = np.maximum(at + NEIGHBOUR, np.sort(phi[completed])[NEIGHBOURS - 1])
    highest = np.where(completed & (phi[None, :] <= nearby[:, None]), base, -np.inf).max(axis=1)
    ruled_out = np.where(diverged & (phi[None, :] >= at[:, None]), base, np.inf).min(axis=1)
    lowest = trials.x[completed, 1].min() - shape.log_mean(log_phi) - LR_MARGIN
    return lowest, np.maximum(np.minimum(highest, ruled_out), lowest + 2.0 * LR_MARGIN)


def _lr_windows(data: gp.Data, h: gp.Hyperparameters, log_phi: Array, lowest: Array, highest: Array) -> Array:
    """At each phi, a grid over the log mean LRs that could be the best there: shape (g, LR_POINTS).

    Args:
        data, h: The surface.
        log_phi: Grid, shape (g,).
        lowest, highest: Log mean LRs to consider at each phi, shape (g,).
    """
    rows, n = np.arange(len(log_phi)), 41
    coarse = lowest[:, None] + (highest - lowest)[:, None] * np.linspace(0.0, 1.0, n)
    mean, sd = (
        a.reshape(len(log_phi), n)
        for a in gp.predict(data, h, np.stack([np.repeat(log_phi, n), coarse.ravel()], axis=1))
    )
    possible = mean - 2.0 * sd <= (mean + 2.0 * sd).min(axis=1, keepdims=True)
    first = coarse[rows, np.maximum(possible.argmax(axis=1) - 1, 0)]
    last = coarse[rows, np.minimum(n - possible[:, ::-1].argmax(axis=1), n - 1)]
    return np.asarray(first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, LR_POINTS), dtype=np.float64)
