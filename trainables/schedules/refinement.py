"""A schedule refined from the gradient norms of an earlier run (Defazio et al., arXiv 2310.07831)."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.schedules._sampling import is_number
from phitune.trainables.schedules.refined import Refined

# The power of the norm in a step's weight: an SGD step grows with the gradient, one of Adam does not.
_POWERS = {"sgd": 2, "adam": 1, "adamw": 1, "amsgrad": 1}
_DECIMALS = 5
_LATE = 0.9
_NOTHING = 0.01


def refine(norms: ArrayLike, optimizer: str, points: int = 101, smoothing: float = 0.1) -> Refined:
    """The schedule that minimises the source's bound for the gradient norms of a run.

    ``eta_t ∝ w_t · Σ_{p>t} w_p`` with ``w_t = ‖g_t‖₂⁻²`` for SGD and ``‖g_t‖₁⁻¹`` for Adam and its kin. Constant norms
    give linear decay. A warmup that the norms ask for is part of the result.

    Args:
        norms: Gradient norm of every step of the run, in order, all > 0: L2 for sgd, L1 for adam, adamw, amsgrad.
        optimizer: The optimizer's name.
        points: Number of values that the result keeps, evenly spaced, at least 2.
        smoothing: Width of the median filter over the norms, as a share of the run, in [0, 1].

    Returns:
        The schedule; the first step is its x = 0, the last its x = 1. Values have 5 decimals.

    Raises:
        InputError: An unknown optimizer, a norm that is not a positive number, or a setting out of range.

    Warns:
        UserWarning: The result is degenerate and would train badly.
    """
    if optimizer not in _POWERS:
        raise InputError(f"optimizer: {optimizer!r} is not allowed; it must be one of {', '.join(_POWERS)}")
    if type(points) is not int or points < 2:
        raise InputError(f"points: {points!r} is not allowed; it must be a whole number of at least 2")
    if not (is_number(smoothing) and 0 <= smoothing <= 1):
        raise InputError(f"smoothing: {smoothing!r} is not allowed; it must be a number in [0, 1]")
    eta = _step_sizes(_smoothed(_checked(norms), smoothing), _POWERS[optimizer])
    at_knots = np.interp(np.linspace(0.0, 1.0, points), np.linspace(0.0, 1.0, len(eta)), eta)
    values = np.round(at_knots / at_knots.max(), _DECIMALS)
    _warn_if_degenerate(values)
    return Refined(tuple(values.tolist()))


def _checked(norms: ArrayLike) -> NDArray[np.float64]:
    g = np.asarray(norms, dtype=np.float64)
    if g.ndim != 1 or len(g) < 2:
        raise InputError(f"norms: an array of shape {g.shape} is not allowed; it must be one norm a step, at least 2")
    bad = np.flatnonzero(~(np.isfinite(g) & (g > 0)))
    if bad.size:
        raise InputError(f"norms: {g[bad[0]]:g} at step {bad[0]} is not allowed; it must be a positive number")
    return g


def _smoothed(norms: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    from scipy.ndimage import median_filter

    width = 2 * math.floor(smoothing * len(norms) / 2) + 1
    smoothed: NDArray[np.float64] = median_filter(norms, size=width, mode="reflect")
    return smoothed


def _step_sizes(norms: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """``w_t Σ_{p>t} w_p``, the largest 1."""
    # Relative to the smallest norm no weight overflows.
    weights = (norms.min() / norms) ** power
    later = np.append(np.cumsum(weights[:0:-1])[::-1], 0.0)
    eta: NDArray[np.float64] = weights * later
    eta /= eta.max()
    return eta


def _warn_if_degenerate(values: NDArray[np.float64]) -> None:
    peak = float(values.argmax()) / (len(values) - 1)
    nothing = float(np.mean(values < _NOTHING))
    if peak > _LATE:
        what = f"its peak is at {peak:.0%} of the run"
    elif nothing > 0.5:
        what = f"it is below {_NOTHING:.0%} of its peak for {nothing:.0%} of the run"
    else:
        return
    warnings.warn(f"refined schedule: {what}, which trains badly; smooth more or keep the old schedule", stacklevel=3)
