"""A quadratic loss in its eigenvectors' coordinates, and what SGD's noise adds there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """SGD's second moments v = E[w²] of d independent coordinates at LR η, exact for every schedule.

    v ← (1 − ηh)² v + η² (s + c h Σhv), loss ½ Σhv.

    Attributes:
        curvature: h, shape [d].
        start: v before the first step, [d].
        noise: s, the variance of the gradient's noise that stays, [d].
        proportional: c ≥ 0, of the noise that is proportional to the loss.
    """

    curvature: Floats
    start: Floats
    noise: Floats
    proportional: float = 0.0

    @property
    def first_loss(self) -> float:
        """The loss before the first step."""
        return 0.5 * float(self.curvature @ self.start)

    def noise_at(self, moments: Floats) -> Floats:
        """Variance of the gradient's noise at second moments [d], or [d, n] of n configurations; the same shape."""
        h, s = (each.reshape(-1, *[1] * (moments.ndim - 1)) for each in (self.curvature, self.noise))
        return s + self.proportional * h * (h * moments).sum(axis=0) if self.proportional else s
