"""The trial that every contender runs: the noisy quadratic, 64 iterations, four reports."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload

WORKLOAD: dict[str, str | float] = {"name": "quadratic", "kappa": 100, "noise": 0.03}
BUDGET = 64
REPORTS = (8, 16, 32, 64)
FAMILIES = ("uba", "rex", "linear", "cosine", "step")
PHI = (0.05, 50.0)
BASE_LR = (0.005, 2.0)
_WORST = 1e9


@dataclass(frozen=True)
class Report:
    """A report of a trial; ``number`` counts from 1."""

    number: int
    step: int
    loss: float


def reports(family: str, phi: float, base_lr: float) -> Iterator[Report]:
    """Trains one trial; stops early if it diverges."""
    chosen = schedule(family, **({"phi": phi} if family == "uba" else {}))
    training = Training(workload(Spec.of(WORKLOAD)), TrialConfig("sgd", BUDGET, chosen, base_lr, seed=0))
    for number, step in enumerate(REPORTS, start=1):
        training.advance(step)
        loss = _WORST if training.diverged else training.curve[-1]["ema_val_loss"]
        yield Report(number, training.step, loss if math.isfinite(loss) else _WORST)
        if training.diverged:
            return


def bare_ms(repeats: int = 200) -> float:
    """CPU time of a whole trial in a loop, without any orchestration, ms; the mean over the families."""
    start = time.process_time()
    for repeat in range(repeats):
        for _ in reports(FAMILIES[repeat % len(FAMILIES)], 2.0, 0.5):
            pass
    return 1e3 * (time.process_time() - start) / repeats
