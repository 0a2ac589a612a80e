"""Tells a loss that explodes from one that is merely larger than the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FACTOR = 1e3


@dataclass
class Explosion:
    """Watches the training losses of a trial, step by step.

    A loss has exploded when it is not finite, or exceeds a thousand times the largest size, |loss|, of the losses
    before step 2ᵏ ≤ step; a size below 1 counts as 1. While all those losses are 0, only one that is not finite has.
    So a loss may start at 0, near it or below, have any offset, and grow like a power, up to the sixth, of the step.
    One that grows by a factor each step is told after at most three times the steps in which it grows a thousandfold.

    Attributes:
        largest: The largest size so far.
        reference: The largest size before the last step that was a power of two.
    """

    largest: float = 0.0
    reference: float = 0.0

    def exploded(self, step: int, loss: float) -> bool:
        """Whether the loss of a step has exploded; steps count from 1 and come in order."""
        if step & (step - 1) == 0:
            self.reference = self.largest
        self.largest = max(self.largest, abs(loss))
        if not math.isfinite(loss):
            return True
        return self.reference > 0.0 and loss > _FACTOR * max(1.0, self.reference)
