"""A schedule family of your own: a frozen dataclass with a profile.

python 08_own_family.py prints its LRs. A study names it "08_own_family:Circle", as study.yaml beside this file does.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phitune import schedule
from phitune.trainables.schedules import Parameter, Schedule


@dataclass(frozen=True)
class Circle(Schedule):
    """``u = (1 - x^p)^(1/p)``: a quarter of a circle at p = 2."""

    p: float  # no default, so a study always searches it, in the range below

    family: ClassVar = "08_own_family:Circle"
    parameters: ClassVar = {"p": Parameter(0.5, 4.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("p")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """LR divided by base LR where a share x, from 0 to 1, of the budget is done."""
        return (1 - x**self.p) ** (1 / self.p)


if __name__ == "__main__":
    # Warmup, floor, sampling, the torch scheduler and the way to and from a dict come with the base class.
    circle = schedule("08_own_family:Circle", p=2.0, warmup=0.1)
    for step in range(0, 100, 10):
        print(f"step {step}: LR {0.1 * circle.u(step, horizon=100):.4f}")
