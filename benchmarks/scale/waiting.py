"""A workload that takes time and no core: so that more trials are alive at once than a machine has cores."""

from __future__ import annotations

import time

from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Learner
from phitune.trainables.workloads.exact import MomentsLearner, Quadratic


class Waiting(Quadratic):
    """The noisy quadratic, which sleeps.

    Args:
        seconds: How long a whole trial sleeps, an equal part in each step.
    """

    def __init__(self, kappa: float = 100.0, noise: float = 0.03, seconds: float = 10.0) -> None:
        super().__init__(kappa, noise)
        self.seconds = seconds

    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return _WaitingLearner(self, self.seconds / horizon)


class _WaitingLearner(MomentsLearner):
    def __init__(self, workload: Waiting, seconds: float) -> None:
        super().__init__(workload)
        self._seconds = seconds

    def step(self, lr: float, momentum: float | None = None) -> float:
        time.sleep(self._seconds)
        return super().step(lr, momentum)
