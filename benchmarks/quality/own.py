"""phitune's search: the real proposer and the real ladder, with the settings that can be varied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optuna

from benchmarks.quality.curves import AVERAGES, SHARES, Floats
from benchmarks.quality.simulation import Method, Proposal
from benchmarks.quality.smooth import smooth
from benchmarks.quality.table import Table, coordinates
from phitune.search.proposing.cell import CellProposer
from phitune.search.proposing.finalists import finalists
from phitune.search.proposing.sampler import START
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import FAIR, Ladder
from phitune.search.study.model import parse_study
from phitune.search.study.sections import Asha

# Completed trials that a family's surface takes.
_FEWEST = 4


@dataclass(frozen=True)
class Settings:
    """The settings that are varied; the defaults are phitune's.

    Attributes:
        shares: Of the budget, where trials are judged.
        fair: Trials of each family that go on from a rung whatever the others do.
        average: k of the average that is judged; 0 for raw weights.
        replicates: Fresh seeds for each finalist.
        finalists: At most so many, the best; None for those phitune takes.
        start: Share of a family's trials that are quasi-random.
        choice: ``trial`` for a trial that was seen, ``surface`` for the best of smooth surfaces through a family's
            completed trials, which needs no replicates.
    """

    shares: tuple[float, ...] = tuple(Asha().shares)
    reduction: int = Asha().reduction
    minimum: int = Asha().minimum
    fair: int = FAIR
    average: int = 10
    replicates: int = 3
    finalists: int | None = None
    start: float = START
    choice: Literal["trial", "surface"] = "trial"

    def early_stopping(self) -> str | dict[str, Any]:
        """The value of `early_stopping` in a study file."""
        if not self.shares:
            return "none"
        return {"rungs": list(self.shares), "reduction": self.reduction, "minimum": self.minimum}


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
                "early_stopping": settings.early_stopping(),
                "trials": trials,
                "replicates": settings.replicates,
                "seed": seed,
            }
        )
        self._settings = settings
        self._table = table
        self._marks = table.points
        self._proposer = CellProposer(study, table.cell, optuna.storages.InMemoryStorage(), [], settings.start)
        self._ladder = Ladder(len(settings.shares), "min", study.ladder, settings.fair)
        self._trials: dict[str, tuple[Trial, Proposal]] = {}
        self._judged: dict[str, list[tuple[int, float]]] = {}
        self._explored: list[tuple[float, Proposal]] = []
        self._replicates: dict[str, list[float]] = {}

    def propose(self) -> Proposal | None:
        trial = self._proposer.propose()
        while trial is not None and trial.finalist is not None and trial.finalist not in self._finalists:
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
        return self._ladder.judge(proposal.key, trial.family, rung, value)

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        trial, _ = self._trials[proposal.key]
        explored = trial.phase == "explore"
        if status == "diverged" and explored:
            self._ladder.note_diverged(proposal.key, trial.family)
        if status == "completed":
            if explored:
                self._explored.append((loss, proposal))
            else:
                self._replicates.setdefault(trial.finalist or "", []).append(loss)
        final = {"objective": math.exp(loss)} if status == "completed" else {}
        judged = self._judged[proposal.key]
        self._proposer.end(Record(trial, status, self._marks[point], judged, [], final, 0.0, 0.0))  # type: ignore[arg-type]

    @property
    def _finalists(self) -> set[str]:
        """Ids of the trials that are replicated."""
        best = {each.key for _, each in sorted(self._explored, key=lambda e: e[0])[: self._settings.finalists]}
        return best & {record.trial.trial_id for record in finalists(self._proposer.ended, "min")}

    @property
    def _finished(self) -> bool:
        """Whether all replicates have ended."""
        seeds = min(self._settings.replicates, 1) if self._table.cell.deterministic else self._settings.replicates
        replicates = sum(record.trial.phase == "replicate" for record in self._proposer.ended)
        return self._proposer.total is not None and replicates == seeds * len(self._finalists)

    def choice(self) -> Proposal | None:
        if self._finished and self._replicates:
            best = min(self._replicates, key=lambda key: float(np.mean(self._replicates[key])))
            return self._trials[best][1]
        if self._finished and self._settings.choice == "surface" and self._explored:
            return best_of_surfaces(self._table, [(loss, each) for loss, each in self._explored])
        return min(self._explored, key=lambda each: each[0])[1] if self._explored else None


def best_of_surfaces(table: Table, completed: list[tuple[float, Proposal]]) -> Proposal:
    """The best place on smooth surfaces through the families' completed trials, within the range of LRs they cover."""
    minima: list[tuple[float, Proposal]] = []
    for label, family in table.families.items():
        mine = [(loss, each) for loss, each in completed if each.family == label]
        if len(mine) < _FEWEST:
            minima += mine
            continue
        log_lr = np.log([each.base_lr for _, each in mine])
        log_phi = np.zeros(len(mine)) if family.log_phi.size == 1 else np.log([each.phi for _, each in mine])
        phis, lrs = (each.ravel() for each in np.meshgrid(family.log_phi, family.log_lr, indexing="ij"))
        inside = (lrs >= log_lr.min()) & (lrs <= log_lr.max())
        grid = coordinates(table.cell, label, phis[inside], lrs[inside])
        values = np.array([[loss] for loss, _ in mine])
        surface = smooth(coordinates(table.cell, label, log_phi, log_lr), values, grid).grid[:, 0]
        best = int(surface.argmin())
        place = Proposal("", label, math.exp(phis[inside][best]), math.exp(lrs[inside][best]))
        minima.append((float(surface[best]), place))
    return min(minima, key=lambda each: each[0])[1]
