"""Evaluates a function of the step so that its value at one step does not depend on the other steps of the array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# More elements than any processor takes at once: a block's length is a multiple of it, so that no element is left to
# the scalar code that follows a vector loop, whose powers and sines may differ from the loop's in the last digit.
_WIDTH = 64
# Long arrays go through in pieces that stay in the cache.
_LONGEST = 256 * _WIDTH

Array = NDArray[np.float64]


def in_blocks(function: Callable[[Array], Array], t: Array) -> Array:
    """Evaluates ``function`` at every element of ``t``; returns a scalar for a scalar, otherwise the shape of ``t``.

    NumPy computes a single number, a NumPy scalar and an array by different code. Here the function gets contiguous
    one-dimensional blocks of full vector width whatever the shape of ``t``, padded with its last element: one step and
    a million are the same computation, for a user's families too.
    """
    flat = t.ravel()
    values = np.empty(flat.size)
    for start in range(0, flat.size, _LONGEST):
        block = flat[start : start + _LONGEST]
        size = block.size
        if size % _WIDTH:
            block = np.full(-(-size // _WIDTH) * _WIDTH, block[-1])
            block[:size] = flat[start:]
        values[start : start + size] = function(block)[:size]
    shaped: Array = values.reshape(t.shape)[()]
    return shaped
