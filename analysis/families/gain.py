"""How much better one configuration is than another, from draws of both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.answers.sureness import Sureness, sureness
from phitune.analysis.surrogate.scale import Scale

Array = NDArray[np.float64]

CONFIDENCE = 0.9


@dataclass(frozen=True)
class Gain:
    """How much better one configuration is than another; positive is better.

    Attributes:
        percent: In per cent of the other's objective, the median; in units of the objective unless `relative`.
        interval: 90 % interval.
        probability: Probability of being better.
        relative: Whether it is in per cent: an objective that crosses zero has none.
    """

    percent: float
    interval: tuple[float, float]
    probability: float
    relative: bool = True

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def sureness(self) -> Sureness:
        """How sure its sign is, in words."""
        return sureness(self.probability, self.interval)


def gain(ours: Array, theirs: Array, scale: Scale, may_be_equal: bool = False) -> Gain:
    """Gain of one configuration over another.

    Args:
        ours, theirs: Draws of the two on the fitting scale, shape (s,), from the same functions.
        scale: The fitting scale.
        may_be_equal: Whether something else that was concluded leaves open that they are equal: the interval holds 0.
    """
    better = scale.improvement(ours, theirs)
    low, middle, high = (float(v) for v in np.quantile(better, [0.5 - CONFIDENCE / 2, 0.5, 0.5 + CONFIDENCE / 2]))
    if may_be_equal:
        low, high = min(low, 0.0), max(high, 0.0)
    probability = float(np.mean(better > 0) + 0.5 * np.mean(better == 0))
    return Gain(middle, (low, high), probability, scale.relative)
