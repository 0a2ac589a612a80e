"""When the LR changes: REX's second axis, apart from the profile (Chen et al., arXiv 2107.04197)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.errors import InputError

Sampling: TypeAlias = float | tuple[float, ...] | None

# Rounding of x / s must not move a change by a step; a step of a run of 1e8 is ten times this.
_TOLERANCE = 1e-9
_MOST_STAIRS = 10_000


def checked_sampling(value: Any, family: str) -> Sampling:
    """Returns ``sampling`` if it is allowed, a list as a tuple.

    Raises:
        InputError: It is neither None nor a number in (0, 1] nor increasing points in (0, 1).
    """
    if value is None or (is_number(value) and 0 < value <= 1):
        return value  # type: ignore[no-any-return]
    if is_increasing_fractions(value):
        return tuple(value)
    raise InputError(
        f"{family}.sampling: {value!r} is not allowed; it must be a number in (0, 1] or increasing points in (0, 1)"
    )


def is_increasing_fractions(value: Any) -> bool:
    """Whether a list or tuple holds increasing numbers in (0, 1), at least one."""
    if not (isinstance(value, list | tuple) and value and all(is_number(v) and 0 < v < 1 for v in value)):
        return False
    return all(a < b for a, b in pairwise(value))


def is_number(value: object) -> bool:
    """Whether a value is a finite number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def quantised(x: NDArray[np.float64], sampling: float | tuple[float, ...]) -> NDArray[np.float64]:
    """``x`` moved down to the last point at which the LR changed."""
    if isinstance(sampling, tuple):
        return np.array([0.0, *sampling])[np.searchsorted(sampling, x, side="right")]
    rate = _rate(sampling)
    return np.minimum(np.floor(x * rate + _TOLERANCE) / rate, 1.0)


def staircase(
    sampling: float | tuple[float, ...],
    profile: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    profile_mean: float,
) -> float:
    """Mean of the sampled profile: the sum over its stairs.

    For very many stairs it is the integral and half a stair at either end (Euler and Maclaurin).
    """
    if isinstance(sampling, tuple):
        starts = np.array([0.0, *sampling])
    elif sampling * _MOST_STAIRS < 1:
        start, end = profile(np.array([0.0, 1.0]))
        return profile_mean + 0.5 * sampling * float(start - end)
    else:
        rate = _rate(sampling)
        starts = np.arange(math.ceil(rate - _TOLERANCE)) / rate
    return float(np.dot(profile(starts), np.diff(starts, append=1.0)))


def _rate(sampling: float) -> float:
    """Changes per unit of x, rounded to a whole number where it is one but for rounding, so that 3 × 0.1 is 0.3."""
    rate = 1.0 / sampling
    return float(round(rate)) if abs(rate - round(rate)) < _TOLERANCE * rate else rate
