"""Ray Tune with Optuna as documented: `OptunaSearch` and `ASHAScheduler`."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import optuna
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.quality.curves import SHARES, Floats
from benchmarks.quality.peers.optuna import suggested
from benchmarks.quality.peers.peer import Peer
from benchmarks.quality.simulation import Proposal
from phitune.search.study.cell import Cell

# Reports a trial, evenly spaced; Tune's `training_iteration` counts them.
REPORTS = 8


class Recipe(Peer):
    """`OptunaSearch` and ``ASHAScheduler(max_t=8)``, everything else their default, on raw weights.

    8 reports a trial: rungs at 1/8 and 1/2 of the budget, a quarter goes on. A diverged trial is reported with the loss
    before training, which is kinder than a NaN. The choice is the trial whose last reported loss is least, as Tune's
    `get_best_result` has it.
    """

    def __init__(self, cell: Cell, seed: int, cap: float) -> None:
        super().__init__()
        self._cap = cap
        self._count = 0

        def space(trial: optuna.Trial) -> None:
            suggested(cell, trial)

        self._search = OptunaSearch(space, metric="loss", mode="min", seed=seed)
        self._scheduler = ASHAScheduler(metric="loss", mode="min", max_t=REPORTS)

    def propose(self) -> Proposal | None:
        key = str(self._count)
        self._count += 1
        values: dict[str, Any] = self._search.suggest(key)
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=key))
        return Proposal(key, values["family"], values.get("phi", math.nan), values["base_lr"])

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        result = _result(point, float(loss[0]))
        self._search.on_trial_result(proposal.key, result)
        action = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=proposal.key), result)
        return bool(action == TrialScheduler.CONTINUE)

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        result = _result(point, self._cap if status == "diverged" else loss)
        self._search.on_trial_complete(proposal.key, result)
        self._scheduler.on_trial_complete(None, SimpleNamespace(trial_id=proposal.key), result)

    def choice(self) -> Proposal | None:
        alive = [seen for seen in self.trials if seen.status != "diverged"]
        return min(alive, key=lambda seen: seen.loss).proposal if alive else None


def _result(point: int, loss: float) -> dict[str, float]:
    return {"loss": loss, "training_iteration": round(SHARES[point] * REPORTS)}
