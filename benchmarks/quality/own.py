"""phitune's search: the real proposer and the real ladder, with the settings that can be varied."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import optuna

from benchmarks.quality.curves import AVERAGES, SHARES, Floats
from benchmarks.quality.simulation import Method, Proposal
from benchmarks.quality.table import Table
from search import stopping
from search.proposer import CellProposer
from search.record import Record, Trial
from search.stopping import Ladder
from search.study import parse_study


@dataclass(frozen=True)
class Settings:
    """What is varied; the defaults are phitune's.

    Attributes:
        shares: Of the budget, where trials are judged.
        average: k of the average that is judged; 0 for raw weights.
        replicates: Fresh seeds for each finalist.
    """

    shares: tuple[float, ...] = stopping._RUNG_SHARES
    reduction: int = stopping.REDUCTION
    minimum: int = stopping.MINIMUM_POPULATION
    average: int = 10
    replicates: int = 3


class Phitune(Method):
    """A cell's search with a given number of trials, then replicates of its finalists.

    Its choice is the completed trial with the least loss while it explores, and the finalist with the least mean
    log loss over its replicates at the end; without replicates, the first holds.
    """

    def __init__(self, table: Table, seed: int, trials: int, settings: Settings) -> None:
        study = parse_study(
            {
                "name": "quality",
                "workloads": [table.cell.workload.entry],
                "optimizers": [table.cell.optimizer.label],
                "budgets": [table.cell.budget],
                "trials": trials,
                "replicates": settings.replicates,
                "seed": seed,
            }
        )
        self._settings = settings
        self._marks = table.points
        self._proposer = CellProposer(study, table.cell, optuna.storages.InMemoryStorage(), [])
        self._ladder = Ladder(len(settings.shares), "min", settings.reduction, settings.minimum)
        self._trials: dict[str, tuple[Trial, Proposal]] = {}
        self._judged: dict[str, list[tuple[int, float]]] = {}
        self._explored: list[tuple[float, Proposal]] = []
        self._replicates: dict[str, list[float]] = {}

    def propose(self) -> Proposal | None:
        trial = self._proposer.propose()
        if trial is None:
            return None
        proposal = Proposal(trial.trial_id, trial.family, float(trial.schedule.get("phi", math.nan)), trial.base_lr)
        self._trials[trial.trial_id] = trial, proposal
        self._judged[trial.trial_id] = []
        return proposal

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        trial, _ = self._trials[proposal.key]
        if trial.phase == "replicate" or SHARES[point] not in self._settings.shares:
            return True
        rung = 1 + self._settings.shares.index(SHARES[point])
        value = math.exp(loss[AVERAGES.index(self._settings.average)])
        self._judged[proposal.key].append((self._marks[point], value))
        self._ladder.record(proposal.key, rung, value)
        return self._ladder.goes_on(proposal.key, rung)

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        trial, _ = self._trials[proposal.key]
        explored = trial.phase == "explore"
        if status == "diverged" and explored:
            self._ladder.record_diverged(proposal.key)
        if status == "completed":
            if explored:
                self._explored.append((loss, proposal))
            else:
                self._replicates.setdefault(trial.finalist or "", []).append(loss)
        final = {"objective": math.exp(loss)} if status == "completed" else {}
        judged = self._judged[proposal.key]
        self._proposer.end(Record(trial, status, self._marks[point], judged, [], final, 0.0, 0.0))  # type: ignore[arg-type]

    def choice(self) -> Proposal | None:
        if self._proposer.finished and self._replicates:
            best = min(self._replicates, key=lambda key: float(np.mean(self._replicates[key])))
            return self._trials[best][1]
        return min(self._explored, key=lambda each: each[0])[1] if self._explored else None
