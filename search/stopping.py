"""Early stopping: one ASHA ladder a cell behind one Tune scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

REDUCTION = 2
MINIMUM_POPULATION = 5
_RUNG_SHARES = (1 / 4, 1 / 2)
_SHORTEST = 16


def rungs(budget: int, early_stopping: str) -> tuple[int, ...]:
    """The iterations at which trials of a cell are judged: a quarter and a half of the budget.

    None for ``early_stopping: none`` and for budgets too short to judge anything (under 16 iterations).
    """
    if early_stopping == "none" or budget < _SHORTEST:
        return ()
    return tuple(round(share * budget) for share in _RUNG_SHARES)


class Ladder:
    """Asynchronous successive halving in one cell (Li et al., MLSys 2020, arXiv 1810.05934).

    At a rung a trial goes on if it is among the best ``1/reduction`` of all that have been there so far,
    itself included. A rung cuts nobody before ``minimum`` trials have been there. A diverged trial counts
    as the worst at every rung it did not reach.

    Args:
        count: Number of rungs.
        mode: Whether small (``min``) or large (``max``) values are good.
    """

    def __init__(
        self, count: int, mode: Literal["min", "max"], reduction: int = REDUCTION, minimum: int = MINIMUM_POPULATION
    ) -> None:
        self._rungs: list[dict[str, float]] = [{} for _ in range(count)]
        self._sign = 1.0 if mode == "min" else -1.0
        self._reduction = reduction
        self._minimum = minimum

    def record(self, trial_id: str, rung: int, value: float) -> None:
        """Notes a value at rung ``rung`` (from 1); repeated reports of a trial replace the earlier one."""
        signed = self._sign * value
        self._rungs[rung - 1][trial_id] = signed if math.isfinite(signed) else math.inf

    def record_diverged(self, trial_id: str) -> None:
        """Counts the trial as the worst at every rung it did not reach."""
        for rung in self._rungs:
            rung.setdefault(trial_id, math.inf)

    def goes_on(self, trial_id: str, rung: int) -> bool:
        """Whether a trial that was recorded at ``rung`` may train on."""
        population = self._rungs[rung - 1]
        if len(population) < self._minimum:
            return True
        value = population[trial_id]
        better = sum(other < value for other in population.values())
        return math.isfinite(value) and better < math.ceil(len(population) / self._reduction)


class CellAsha(FIFOScheduler):  # type: ignore[misc]
    """Routes every report to the ladder of its cell.

    Args:
        ladders: By cell key. Trials of other cells, and replicates, run to their end.
    """

    def __init__(self, ladders: Mapping[str, Ladder]) -> None:
        super().__init__()
        self._ladders = ladders

    def on_trial_result(self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]) -> str:
        go_on, stop = str(TrialScheduler.CONTINUE), str(TrialScheduler.STOP)
        ladder = self._ladders.get(trial.config["cell"])
        rung = result.get("rung")
        if ladder is None or not rung:
            return go_on
        trial_id = trial.config["trial_id"]
        ladder.record(trial_id, rung, result["judged"])
        return go_on if ladder.goes_on(trial_id, rung) else stop
