"""Quality over (phi, LR) in one cell: phi* with an interval, the LR that goes with it, and whether phi matters.

Here phi is the shape parameter of any family (`surface.shapes`). The lowest point of a draw of the profile
(`surface.profiles`) is a draw of phi*. Assumptions: on the fitting scale (`outcomes.Scale`) quality is a quadratic
bowl plus a smooth deviation, with Gaussian trial noise; sampling may depend on observed results (TPE, ASHA) but on
nothing else. The interval's coverage is tested by simulation (`benchmarks.validity`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.surface.bootstrap import resampled_argmins
from phitune.analysis.surface.cell_surface import EDGE, RELATIVE_TOLERANCE, CellSurface, Fit, Verdict
from phitune.analysis.surface.flatness import probability_of_no_effect
from phitune.analysis.surface.outcomes import Points, points
from phitune.analysis.surface.profiles import NEIGHBOUR, NEIGHBOURS, Draws, draw_profiles, minimise
from phitune.analysis.surface.shapes import COSINE_PHI, Shape
from phitune.analysis.surrogate import gaussian_process as gp

Array = NDArray[np.float64]

MIN_POINTS = 10
MAX_POINTS = 120
# The least range of log phi among the trials.
MIN_SPREAD = 0.5
# More probable than this that phi has no effect: flat.
NO_EFFECT = 0.95
# An interval over more than this share of the searched range (in log phi) does not locate phi*.
UNCLEAR_SHARE = 2 / 3
VALUES = 100
QUANTILES = (0.05, 0.5, 0.95)


def fit_surface(
    cell: pd.DataFrame,
    phi_range: tuple[float, float] | None = None,
    replicates: int | None = None,
    seed: int = 0,
    family: str = "uba",
) -> CellSurface:
    """Fit one cell's surface and read phi* off it.

    Args:
        cell: Rows of the results table (`analysis.results`), one cell.
        phi_range: The range of phi searched; by default the range of the family's trials.
        replicates: Replicates of a finalist, for `delta`; by default the median count in the cell, or 1.
        seed: Of the posterior draws; the same rows and seed give the same answer.
        family: A family of which exactly one shape parameter was searched.

    Returns:
        The surface; its `verdict` is "thin" when under ten points remain, under five completed, or phi hardly varies.
    """
    shape = Shape.of(cell, family, phi_range)
    if shape is None:
        return CellSurface(None, "thin", 0)
    trials = _best(points(cell, shape))
    spread = float(np.ptp(trials.x[:, 0])) if len(trials.y) else 0.0
    measured = trials.count("completed") + trials.count("stopped")
    if measured < MIN_POINTS or trials.count("completed") < NEIGHBOURS or spread < MIN_SPREAD:
        return CellSurface(shape, "thin", len(trials.y))
    deterministic = bool(cell["deterministic"].astype(bool).all())
    draws = draw_profiles(trials, shape, deterministic, np.random.default_rng(seed))
    return _summary(draws, trials, shape, replicates if replicates is not None else _replicates(cell), seed)


def _summary(draws: Draws, trials: Points, shape: Shape, replicates: int, seed: int) -> CellSurface:
    # The recommendation keeps to phi near completed trials; the interval (`beyond`) does not.
    completed = trials.x[trials.is_from("completed"), 0]
    near = np.flatnonzero(
        (draws.log_phi >= completed.min() - NEIGHBOUR) & (draws.log_phi <= completed.max() + NEIGHBOUR)
    )
    lowest, where = minimise(draws.profile[:, near])
    first, step = draws.log_phi[0], draws.log_phi[1] - draws.log_phi[0]
    stars = first + step * (where + near[0])
    anywhere = first + step * minimise(draws.beyond)[1]
    mid = float(np.median(stars))
    interval = _hull(stars, anywhere)
    excess = np.maximum(draws.profile - lowest[:, None], 0.0)
    delta = max(RELATIVE_TOLERANCE, 2.0 * draws.noise / np.sqrt(max(replicates, 1)))
    typical = np.median(excess, axis=0)
    equal = np.flatnonzero(typical <= max(delta, typical.min()))
    grid = np.exp(draws.log_phi)
    log_mean_lr = _column(draws.log_lr, draws.log_phi, mid)
    log_mean = float(shape.log_mean(np.array([mid]))[0])
    at_star = log_mean_lr - log_mean
    value = _values_at(draws, mid, float(np.median(log_mean_lr)), np.random.default_rng(seed))
    lr_limit = float(np.interp(mid, draws.log_phi, np.log(draws.highest_tried)))
    best = np.stack([draws.log_phi, np.median(draws.log_lr, axis=0)], axis=1)
    lowest_mean = float(gp.predict(draws.data, draws.settings.mode, best)[0].min())
    no_effect = probability_of_no_effect(trials, draws.settings, draws.noise == 0.0)
    inverse = np.vectorize(trials.scale.inverse, otypes=[np.float64])
    q05, q50, q95 = inverse(np.quantile(draws.profile, QUANTILES, axis=0))
    resampled = resampled_argmins(draws.data, draws.settings.mode, draws.log_phi[::2], draws.window[::2, ::2], seed)
    return CellSurface(
        shape=shape,
        verdict=_verdict(draws, excess, delta, interval, no_effect),
        no_effect=no_effect,
        points=len(trials.y),
        delta=float(delta),
        phi=float(np.exp(mid)),
        phi_interval=interval,
        bootstrap_interval=_pair(np.exp(np.quantile(resampled, [0.05, 0.95]))),
        base_lr=float(np.exp(np.median(at_star))),
        base_lr_interval=_hull(at_star, _column(draws.beyond_lr, draws.log_phi, mid) - log_mean),
        base_lr_at_limit=float(np.median(at_star)) > lr_limit - EDGE,
        phi_near=(float(grid[equal[0]]), float(grid[equal[-1]])),
        noise=draws.noise,
        expected=trials.scale.inverse(float(np.median(value))),
        expected_interval=_pair(np.sort(inverse(np.quantile(value, [0.05, 0.95])))),
        grid=grid,
        profile=q50,
        profile_band=np.stack([q05, q95]),
        excess=typical,
        excess_band=np.quantile(excess, [0.05, 0.95], axis=0),
        best_base_lr=np.exp(best[:, 1] - shape.log_mean(draws.log_phi)),
        cosine_excess=_cosine_excess(excess, draws.log_phi, shape),
        log_phi_draws=np.concatenate([stars, anywhere]),
        log_mean_lr_draws=log_mean_lr,
        fit=Fit(draws.data, draws.settings.mode, trials.scale, lowest_mean, draws.highest_tried),
    )


def _values_at(draws: Draws, log_phi: float, log_lr: float, rng: np.random.Generator) -> Array:
    """Draws of the surface at one point. The profile's draws would be too low: each is at the draw's best LR."""
    at = np.array([[log_phi, log_lr]])
    predictions = [gp.predict(draws.data, h, at) for h in draws.settings.draws]
    return np.concatenate([mean + sd * rng.standard_normal(VALUES) for mean, sd in predictions])


def _verdict(draws: Draws, excess: Array, delta: float, interval: tuple[float, float], no_effect: float) -> Verdict:
    # The middle says flat; the 90 % quantile, widest where few trials are, may be off by as much again.
    likely = np.quantile(excess, 0.9, axis=0)
    if np.median(excess, axis=0).max() <= delta and likely.max() <= 2.0 * delta:
        return "flat"
    if no_effect > NO_EFFECT:
        return "flat"
    low, high = draws.log_phi[0], draws.log_phi[-1]
    left, right = np.log(interval)
    if right - left > UNCLEAR_SHARE * (high - low):
        return "unclear"
    return "boundary" if left < low + EDGE or right > high - EDGE else "ok"


def _cosine_excess(excess: Array, log_phi: Array, shape: Shape) -> tuple[float, float, float] | None:
    at = float(np.log(COSINE_PHI))
    if shape.family != "uba" or not log_phi[0] <= at <= log_phi[-1]:
        return None
    median, low, high = np.quantile(_column(excess, log_phi, at), [0.5, 0.05, 0.95])
    return float(median), float(low), float(high)


def _column(values: Array, log_phi: Array, at: float) -> Array:
    """Each draw's value (s, g) interpolated at one log phi: shape (s,)."""
    position = np.clip((at - log_phi[0]) / (log_phi[1] - log_phi[0]), 0.0, len(log_phi) - 1.0)
    left = min(int(position), len(log_phi) - 2)
    weight = position - left
    return np.asarray((1.0 - weight) * values[:, left] + weight * values[:, left + 1], dtype=np.float64)


def _best(trials: Points) -> Points:
    """At most `MAX_POINTS` points, the best ones: the rest say little about the optimum and cost cubic time."""
    if len(trials.y) <= MAX_POINTS:
        return trials
    keep = np.sort(np.argsort(trials.y, kind="stable")[:MAX_POINTS])
    origin = tuple(trials.origin[i] for i in keep)
    return Points(trials.x[keep], trials.y[keep], trials.extra[keep], origin, trials.scale, trials.best)


def _replicates(cell: pd.DataFrame) -> int:
    """Median number of completed replicates of a finalist; 1 if there are none."""
    completed = (cell["phase"] == "replicate") & (cell["status"] == "completed")
    counts = cell["finalist"][completed].value_counts()
    return max(int(counts.median()), 1) if len(counts) else 1


def _hull(logs: Array, beyond: Array) -> tuple[float, float]:
    """The smallest interval that covers two 90 % intervals, from draws of logarithms near the LRs tried and beyond."""
    ends = np.exp(np.quantile(np.stack([logs, beyond]), [0.05, 0.95], axis=1))
    return float(ends[0].min()), float(ends[1].max())


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
