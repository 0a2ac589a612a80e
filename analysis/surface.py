"""Quality over (phi, LR) in one cell: phi* with an interval, the LR that goes with it, and whether phi matters.

Base LR is a nuisance: each function drawn from the posterior is minimised over mean LR at every phi, which gives a
draw of the *profile*; the profile's lowest point gives a draw of phi*. Assumptions: on the fitting scale
(`outcomes.Scale`) quality is a quadratic bowl plus a smooth deviation, with Gaussian trial noise; sampling may depend
on what was seen (TPE, ASHA) but not on what was not. The interval's coverage is tested by simulation on noisy
quadratics.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import gaussian_process as gp
from analysis.outcomes import COSINE_PHI, Points, mean_of_profile, points

Array = NDArray[np.float64]
Verdict = Literal["ok", "flat", "boundary", "unclear", "thin"]

MIN_POINTS = 10
MAX_POINTS = 120
PHI_POINTS = 61
LR_POINTS = 21
SETTINGS = 12
DRAWS = 24
RELATIVE_TOLERANCE = 0.01
FLAT_PROBABILITY = 0.9
# Trials with a phi up to this much larger (in log phi) still say how high a base LR has been tried.
NEIGHBOUR = 0.5
NEIGHBOURS = 5
LR_MARGIN = 0.2
# A phi* within this (in log phi) of the end of the searched range counts as touching it.
EDGE = 0.1
# An interval over more than this share of the searched range (in log phi) does not locate phi*.
UNCLEAR_SHARE = 2 / 3


@dataclass(frozen=True)
class CellSurface:
    """What a cell's trials say about phi. Values on the fitting scale are marked (fit): 0.01 is one per cent.

    Attributes:
        verdict: "ok"; "flat" (every phi is within `delta` of the best in the median draw and, with 90 % probability,
            within twice that: phi does not matter here); "boundary"
            (phi*'s interval touches an end of the searched range: widen it); "unclear" (the interval covers most of
            the range: more trials are needed); "thin" (too few points: nothing below is set).
        points: Number of points used (completed, stopped and diverged).
        phi: phi*, the median of the draws; None when thin.
        phi_interval: 90 % interval of phi*.
        base_lr: The best base LR at `phi`, the median of the draws; None when thin.
        base_lr_interval: Its 90 % interval.
        base_lr_at_limit: Whether `base_lr` is as high as was tried there, so that a higher one may be better still.
        delta: What counts as equal (fit): 1 % or, if larger, two standard errors of a finalist's mean over replicates.
        phi_near: Smallest and largest phi whose profile is, in the median draw, within `delta` of the best.
        noise: Standard deviation between seeds (fit); 0 when the workload is deterministic.
        expected: The objective (in its own units) to expect at (`phi`, `base_lr`); None when thin.
        expected_interval: Its 90 % interval.
        grid: phi grid, shape (g,).
        profile: Objective at each phi with LR at its best, median draw, in its own units, shape (g,).
        profile_band: 5 % and 95 % of it, shape (2, g).
        excess: Profile less its lowest point (fit), median draw, shape (g,).
        excess_band: 5 % and 95 % of it, shape (2, g).
        best_base_lr: Median best base LR at each phi, shape (g,).
        cosine_excess: Excess of phi = 2 (fit): (median, 5 %, 95 %); None when thin or outside the range.
    """

    verdict: Verdict
    points: int
    phi: float | None
    phi_interval: tuple[float, float] | None
    base_lr: float | None
    base_lr_interval: tuple[float, float] | None
    base_lr_at_limit: bool
    delta: float
    phi_near: tuple[float, float] | None
    noise: float
    expected: float | None
    expected_interval: tuple[float, float] | None
    grid: Array
    profile: Array
    profile_band: Array
    excess: Array
    excess_band: Array
    best_base_lr: Array
    cosine_excess: tuple[float, float, float] | None

    def excess_at(self, phi: float) -> float:
        """What choosing `phi` costs against the best phi (fit), with LR at its best for each; NaN when thin."""
        if not len(self.grid):
            return float("nan")
        return float(np.interp(np.log(phi), np.log(self.grid), self.excess))


def fit_surface(
    cell: pd.DataFrame, phi_range: tuple[float, float] | None = None, replicates: int | None = None, seed: int = 0
) -> CellSurface:
    """Fit one cell's surface and read phi* off it.

    Args:
        cell: Rows of the results table (`analysis.results`), one cell.
        phi_range: The range of phi searched; by default the range seen among the cell's UBA trials.
        replicates: Replicates a finalist, for `delta`; by default the median count in the cell, or 1.
        seed: Of the posterior draws; the same rows and seed give the same answer.

    Returns:
        The surface; its `verdict` is "thin" when under ten points remain or phi hardly varies.
    """
    found = _nearest_best(points(cell))
    spread = float(np.ptp(found.x[:, 0])) if len(found.y) else 0.0
    if found.count("completed") + found.count("stopped") < MIN_POINTS or spread < 0.5 or found.count("completed") < 5:
        return _thin(len(found.y))
    rng = np.random.default_rng(seed)
    deterministic = bool(cell["deterministic"].astype(bool).all())
    low, high = phi_range or (float(np.exp(found.x[:, 0].min())), float(np.exp(found.x[:, 0].max())))
    draws = _draw_profiles(found, (np.log(low), np.log(high)), deterministic, rng)
    count = replicates if replicates is not None else _replicates(cell)
    return _read(draws, found, count)


@dataclass(frozen=True)
class _Draws:
    """Posterior draws on the phi grid: profiles (s, g) and the log mean LR of each's minimum (s, g).

    `profile` and `log_lr` keep to the LRs tried at each phi, and the recommendation is read off them. `beyond` is the
    profile over all LRs up to the highest tried at any phi: a better phi may lie where nobody looked, and the interval
    must say so.
    """

    log_phi: Array
    profile: Array
    log_lr: Array
    beyond: Array
    noise: float
    highest_tried: Array


def _draw_profiles(
    found: Points, log_range: tuple[float, float], deterministic: bool, rng: np.random.Generator
) -> _Draws:
    lower = np.array([min(log_range[0], found.x[:, 0].min()), found.x[:, 1].min()])
    upper = np.array([max(log_range[1], found.x[:, 0].max()), found.x[:, 1].max() + 1e-6])
    data = gp.Data(found.x, found.y, found.extra, lower, upper)
    priors = gp.Priors(noise=None) if deterministic else gp.Priors()
    mode, settings = gp.hyperparameter_draws(data, priors, rng, draws=SETTINGS)
    log_phi = np.linspace(*log_range, PHI_POINTS)
    tried = _tried_base_lr(found, log_phi)
    everywhere = (tried[0], np.full(PHI_POINTS, tried[1].max()))
    windows = [_lr_windows(data, mode, log_phi, bounds) for bounds in (tried, everywhere)]
    at = np.stack([np.tile(np.repeat(log_phi, LR_POINTS), 2), np.concatenate(windows).ravel()], axis=1)
    surfaces = np.concatenate([gp.draw_functions(data, h, at, DRAWS, rng) for h in settings])
    both = surfaces.reshape(-1, 2, PHI_POINTS, LR_POINTS)
    profile, where = _minimise(both[:, 0])
    start, step = windows[0][:, 0], windows[0][:, 1] - windows[0][:, 0]
    noise = 0.0 if deterministic else float(np.median([h.noise for h in settings]))
    return _Draws(log_phi, profile, start + step * where, _minimise(both[:, 1])[0], noise, np.exp(tried[1]))


def _tried_base_lr(found: Points, log_phi: Array) -> tuple[Array, Array]:
    """At each phi, the lowest and highest log base LR that the cell's trials speak about: two arrays (g,).

    A larger phi has the lower LR at every step, so a trial that went well certifies its base LR for larger phi, and one
    that diverged rules it out for smaller phi. Beyond what was tried lies, as a rule, a cliff that no smooth surface
    sees. The lowest is that of the lowest mean LR of a completed trial, less a little: like the early stopping itself
    this takes the best not to lie where every trial was stopped.
    """
    phi, base = found.x[:, 0], found.x[:, 1] - np.log(mean_of_profile(np.exp(found.x[:, 0])))
    done, diverged = (np.array([o == origin for o in found.origin]) for origin in ("completed", "diverged"))
    # One trial says little about what was tried: at the low end of phi look at five at least.
    nearby = np.maximum(log_phi + NEIGHBOUR, np.sort(phi[done])[NEIGHBOURS - 1])
    highest = np.where(done & (phi[None, :] <= nearby[:, None]), base, -np.inf).max(axis=1)
    ruled_out = np.where(diverged & (phi[None, :] >= log_phi[:, None]), base, np.inf).min(axis=1)
    lowest = found.x[done, 1].min() - np.log(mean_of_profile(np.exp(log_phi))) - LR_MARGIN
    return lowest, np.maximum(np.minimum(highest, ruled_out), lowest + 2.0 * LR_MARGIN)


def _lr_windows(data: gp.Data, h: gp.Hyperparameters, log_phi: Array, tried: tuple[Array, Array]) -> Array:
    """At each phi, a grid over the log mean LRs that could be the best there: shape (g, LR_POINTS)."""
    rows, n = np.arange(len(log_phi)), 41
    low, high = (bound + np.log(mean_of_profile(np.exp(log_phi))) for bound in tried)
    coarse = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, n)
    mean, sd = (
        a.reshape(len(log_phi), n)
        for a in gp.predict(data, h, np.stack([np.repeat(log_phi, n), coarse.ravel()], axis=1))
    )
    possible = mean - 2.0 * sd <= (mean + 2.0 * sd).min(axis=1, keepdims=True)
    first = coarse[rows, np.maximum(possible.argmax(axis=1) - 1, 0)]
    last = coarse[rows, np.minimum(n - possible[:, ::-1].argmax(axis=1), n - 1)]
    return np.asarray(first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, LR_POINTS), dtype=np.float64)


def _minimise(surfaces: Array) -> tuple[Array, Array]:
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


def _read(draws: _Draws, found: Points, replicates: int) -> CellSurface:
    # The recommendation keeps to phi near completed trials; the interval (`beyond`) does not.
    done = np.array([o == "completed" for o in found.origin])
    near_done = np.flatnonzero(
        (draws.log_phi >= found.x[done, 0].min() - NEIGHBOUR) & (draws.log_phi <= found.x[done, 0].max() + NEIGHBOUR)
    )
    lowest, where = _minimise(draws.profile[:, near_done])
    where = where + near_done[0]
    step = draws.log_phi[1] - draws.log_phi[0]
    lo, mid, hi = np.quantile(draws.log_phi[0] + step * where, [0.05, 0.5, 0.95])
    anywhere = np.quantile(draws.log_phi[0] + step * _minimise(draws.beyond)[1], [0.05, 0.95])
    lo, hi = min(lo, anywhere[0]), max(hi, anywhere[1])
    excess = np.maximum(draws.profile - lowest[:, None], 0.0)
    delta = max(RELATIVE_TOLERANCE, 2.0 * draws.noise / np.sqrt(max(replicates, 1)))
    typical = np.median(excess, axis=0)
    near = np.flatnonzero(typical <= delta)
    if not near.size:
        near = np.array([int(typical.argmin())])
    grid = np.exp(draws.log_phi)
    at_star = _column(draws.log_lr, draws.log_phi, mid) - np.log(mean_of_profile(np.exp(mid)))
    value = _column(draws.profile, draws.log_phi, mid)
    lr_limit = float(np.interp(mid, draws.log_phi, np.log(draws.highest_tried)))
    touches = lo < draws.log_phi[0] + EDGE or hi > draws.log_phi[-1] - EDGE
    unclear = hi - lo > UNCLEAR_SHARE * (draws.log_phi[-1] - draws.log_phi[0])
    # The middle says flat; the 90 % quantile, widest where few trials are, may be off by as much again.
    likely = np.quantile(excess, FLAT_PROBABILITY, axis=0)
    flat = bool(typical.max() <= delta and likely.max() <= 2.0 * delta)
    q05, q50, q95 = np.quantile(draws.profile, [0.05, 0.5, 0.95], axis=0)
    inverse = np.vectorize(found.scale.inverse, otypes=[np.float64])
    inside = draws.log_phi[0] <= np.log(COSINE_PHI) <= draws.log_phi[-1]
    at_cosine = _column(excess, draws.log_phi, float(np.log(COSINE_PHI)))
    return CellSurface(
        verdict="flat" if flat else "unclear" if unclear else "boundary" if touches else "ok",
        points=len(found.y),
        phi=float(np.exp(mid)),
        phi_interval=(float(np.exp(lo)), float(np.exp(hi))),
        base_lr=float(np.exp(np.median(at_star))),
        base_lr_interval=_pair(np.exp(np.quantile(at_star, [0.05, 0.95]))),
        base_lr_at_limit=float(np.median(at_star)) > lr_limit - EDGE,
        delta=float(delta),
        phi_near=(float(grid[near[0]]), float(grid[near[-1]])),
        noise=draws.noise,
        expected=found.scale.inverse(float(np.median(value))),
        expected_interval=_pair(np.sort(inverse(np.quantile(value, [0.05, 0.95])))),
        grid=grid,
        profile=inverse(q50),
        profile_band=np.stack([inverse(q05), inverse(q95)]),
        excess=typical,
        excess_band=np.quantile(excess, [0.05, 0.95], axis=0),
        best_base_lr=np.exp(np.median(draws.log_lr, axis=0)) / mean_of_profile(grid),
        cosine_excess=_triple(np.quantile(at_cosine, [0.5, 0.05, 0.95])) if inside else None,
    )


def _column(values: Array, log_phi: Array, at: float) -> Array:
    """Each draw's value (s, g) interpolated at one log phi: shape (s,)."""
    position = np.clip((at - log_phi[0]) / (log_phi[1] - log_phi[0]), 0.0, len(log_phi) - 1.0)
    left = min(int(position), len(log_phi) - 2)
    weight = position - left
    return np.asarray((1.0 - weight) * values[:, left] + weight * values[:, left + 1], dtype=np.float64)


def _nearest_best(found: Points) -> Points:
    """At most `MAX_POINTS` points, the best ones: the rest say little about the optimum and cost cubic time."""
    if len(found.y) <= MAX_POINTS:
        return found
    keep = np.sort(np.argsort(found.y, kind="stable")[:MAX_POINTS])
    origin = tuple(found.origin[i] for i in keep)
    return Points(found.x[keep], found.y[keep], found.extra[keep], origin, found.scale, found.best)


def _replicates(cell: pd.DataFrame) -> int:
    done = cell[(cell["phase"] == "replicate") & (cell["status"] == "completed")]
    return max(int(done.groupby("finalist").size().median()), 1) if len(done) else 1


def _thin(count: int) -> CellSurface:
    empty = np.empty(0)
    return CellSurface(
        verdict="thin",
        points=count,
        phi=None,
        phi_interval=None,
        base_lr=None,
        base_lr_interval=None,
        base_lr_at_limit=False,
        delta=RELATIVE_TOLERANCE,
        phi_near=None,
        noise=float("nan"),
        expected=None,
        expected_interval=None,
        grid=empty,
        profile=empty,
        profile_band=np.empty((2, 0)),
        excess=empty,
        excess_band=np.empty((2, 0)),
        best_base_lr=empty,
        cosine_excess=None,
    )


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _triple(values: Array) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
