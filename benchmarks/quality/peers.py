"""The searches that phitune is compared with: random search, and Ray Tune with Optuna as documented."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.quality.curves import SHARES, Floats
from benchmarks.quality.simulation import Method, Proposal
from phitune.search.study.model import Cell

# Reports a trial, evenly spaced; Tune's `training_iteration` counts them.
REPORTS = 16


class _BestSeen(Method):
    """Chooses the trial whose last reported loss is least, as Tune's `get_best_result` does."""

    def __init__(self) -> None:
        self._best: tuple[float, Proposal] | None = None

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        if status != "diverged" and (self._best is None or loss < self._best[0]):
            self._best = loss, proposal

    def choice(self) -> Proposal | None:
        return None if self._best is None else self._best[1]


class Random(_BestSeen):
    """Uniform over families, log-uniform over φ and base LR; every trial to its end."""

    def __init__(self, cell: Cell, seed: int) -> None:
        super().__init__()
        self._cell = cell
        self._rng = np.random.default_rng(seed)
        self._count = 0

    def propose(self) -> Proposal:
        space = self._cell.families[self._rng.integers(len(self._cell.families))]
        phi = math.nan
        if "phi" in space.searched:
            phi = math.exp(self._rng.uniform(math.log(space.searched["phi"].low), math.log(space.searched["phi"].high)))
        base_lr = math.exp(self._rng.uniform(*np.log(self._cell.base_lr)))
        self._count += 1
        return Proposal(str(self._count), space.label, phi, base_lr)


class Tpe(_BestSeen):
    """`OptunaSearch` over one conditional space of family, base LR and φ, with its default sampler; no stopping.

    A diverged trial is reported with the loss before training, which is kinder than a NaN.
    """

    def __init__(self, cell: Cell, seed: int, cap: float) -> None:
        super().__init__()
        self._cap = cap
        self._count = 0

        def space(trial: optuna.Trial) -> None:
            label = trial.suggest_categorical("family", [each.label for each in cell.families])
            trial.suggest_float("base_lr", *cell.base_lr, log=True)
            searched = next(each for each in cell.families if each.label == label).searched
            if "phi" in searched:
                trial.suggest_float("phi", searched["phi"].low, searched["phi"].high, log=True)

        self._search = OptunaSearch(space, metric="loss", mode="min", seed=seed)

    def propose(self) -> Proposal:
        key = str(self._count)
        self._count += 1
        values: dict[str, Any] = self._search.suggest(key)
        return Proposal(key, values["family"], values.get("phi", math.nan), values["base_lr"])

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        self._search.on_trial_result(proposal.key, _result(point, float(loss[0])))
        return True

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        value = self._cap if status == "diverged" else loss
        self._search.on_trial_complete(proposal.key, _result(point, value))


class TpeAsha(Tpe):
    """`Tpe` with `ASHAScheduler(max_t=16)`, everything else its default, on raw weights.

    16 reports a trial: rungs at 1/16 and 1/4 of the budget, a quarter goes on.
    """

    def __init__(self, cell: Cell, seed: int, cap: float) -> None:
        super().__init__(cell, seed, cap)
        self._scheduler = ASHAScheduler(metric="loss", mode="min", max_t=REPORTS)

    def propose(self) -> Proposal:
        proposal = super().propose()
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=proposal.key))
        return proposal

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        super().goes_on(proposal, point, loss)
        trial = SimpleNamespace(trial_id=proposal.key)
        action = self._scheduler.on_trial_result(None, trial, _result(point, float(loss[0])))
        return bool(action == TrialScheduler.CONTINUE)

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        value = self._cap if status == "diverged" else loss
        trial = SimpleNamespace(trial_id=proposal.key)
        self._scheduler.on_trial_complete(None, trial, _result(point, value))


def _result(point: int, loss: float) -> dict[str, float]:
    return {"loss": loss, "training_iteration": round(SHARES[point] * REPORTS)}
