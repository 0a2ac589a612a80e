"""The Möbius map that turns cosine into UBA and linear into REX-φ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def warped(b: NDArray[np.float64], phi: float) -> NDArray[np.float64]:
    """``w_φ(b) = b / (φ/2 + (1-φ/2)·b)`` on [0, 1]: keeps 0 and 1, is the identity at φ = 2, lifts below, lowers above.

    Written so that no term is negative: it never leaves [0, 1] by rounding.
    """
    return b / (0.5 * phi * (1.0 - b) + b)
