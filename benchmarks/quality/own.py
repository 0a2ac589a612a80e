"""phitune's search: the real proposers, early stopping and finalists, with the settings that can be varied."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import optuna

from benchmarks.quality.curves import AVERAGES, SHARES, Floats
from benchmarks.quality.simulation import Method, Proposal
from benchmarks.quality.table import Table
from phitune.search.proposing.cell import CellProposer
from phitune.search.proposing.finalists import chosen
from phitune.search.proposing.group import Group
from phitune.search.proposing.guides import guide_of
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import FAIR, Ladder, Stopping
from phitune.search.stopping.predict import Prediction
from phitune.search.study.model import Sampler, parse_study
from phitune.search.study.sections import Asha


@dataclass(frozen=True)
class Settings:
    """The settings that are varied; the defaults are phitune's.

    Attributes:
        shares: Of the budget, where trials are judged.
        fair: With ASHA, trials of each family that go on from a rung whatever the others do.
        average: k of the average that is judged; 0 for raw weights.
        replicates: Fresh seeds for each finalist.
        auto: Whether a cell may have enough before it has had all its trials.
    """

    sampler: Sampler = "surrogate"
    early_stopping: Literal["asha", "predict", "none"] = "predict"
    shares: tuple[float, ...] = tuple(Asha().shares)
    reduction: int = Asha().reduction
    minimum: int = Asha().minimum
    fair: int = FAIR
    average: int = 10
    replicates: int = 3
    auto: bool = False

    def stopping(self, proposer: CellProposer) -> Stopping | None:
        """What judges the trials of a cell."""
        if self.early_stopping == "predict":
            return Prediction(proposer.group, proposer.cell, self.shares)
        if self.early_stopping == "none":
            return None
        asha = Asha(rungs=list(self.shares), reduction=self.reduction, minimum=self.minimum)
        return Ladder(len(self.shares), proposer.cell.mode, asha, self.fair)


class Phitune(Method):
    """A search of the cells of one workload and optimizer, then replicates of their finalists.

    Its choice in a cell is the configuration with the least posterior mean, at any time.

    Args:
        tables: Of each cell.
        trials: Explore trials a cell, at most.
        guided_by: Cells of other workloads.
    """

    def __init__(
        self,
        tables: Table | Sequence[Table],
        seed: int,
        trials: int,
        settings: Settings,
        guided_by: Iterable[EarlierCell] = (),
    ) -> None:
        tables = [tables] if isinstance(tables, Table) else list(tables)
        # Simulated runs have seed noise even where real ones have not.
        cells = [replace(table.cell, deterministic=False) for table in tables]
        study = parse_study(
            {
                "name": "quality",
                "workloads": [cells[0].workload.entry],
                "optimizers": [cells[0].optimizer.label],
                "budgets": [cell.budget for cell in cells],
                "sampler": settings.sampler,
                "trials": {"most": trials} if settings.auto else trials,
                "replicates": settings.replicates,
                "seed": seed,
            }
        )
        self._settings = settings
        self._marks = [table.points for table in tables]
        group, storage = Group(cells, seed, guide=guide_of(cells, guided_by)), optuna.storages.InMemoryStorage()
        self._proposers = [CellProposer(study, cell, storage, [], group) for cell in cells]
        self._stopping = [settings.stopping(proposer) for proposer in self._proposers]
        self._trials: dict[str, Trial] = {}
        self._judged: dict[str, list[tuple[int, float]]] = {}

    def earlier(self) -> list[EarlierCell]:
        """Its cells, for a search of another workload."""
        return [
            EarlierCell(
                proposer.cell.group,
                proposer.cell.budget,
                tuple(proposer.ended),
                proposer.cell.workload.name,
                proposer.cell.mode,
                exact=False,
            )
            for proposer in self._proposers
        ]

    def propose(self) -> Proposal | None:
        """As `phitune.search.tune.searcher.Proposer` does."""
        auto = self._settings.auto
        numbers = sorted(range(len(self._proposers)), key=lambda number: -self._proposers[number].cell.budget)
        for number in sorted(numbers, key=lambda number: self._proposers[number].turn(auto)):
            trial = self._proposers[number].propose()
            if trial is not None:
                self._trials[trial.trial_id] = trial
                self._judged[trial.trial_id] = []
                phi = float(trial.schedule.get("phi", math.nan))
                return Proposal(trial.trial_id, trial.family, phi, trial.base_lr, number)
        return None

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        trial, stopping = self._trials[proposal.key], self._stopping[proposal.cell]
        if stopping is None or trial.phase == "replicate" or SHARES[point] not in self._settings.shares:
            return True
        rung = 1 + self._settings.shares.index(SHARES[point])
        value = math.exp(loss[AVERAGES.index(self._settings.average)])
        self._judged[proposal.key].append((self._marks[proposal.cell][point], value))
        return stopping.judge(proposal.key, trial.family, rung, value)

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        trial, stopping = self._trials[proposal.key], self._stopping[proposal.cell]
        if stopping is not None and status == "diverged" and trial.phase == "explore":
            stopping.note_diverged(proposal.key, trial.family)
        final = {"objective": math.exp(loss)} if status == "completed" else {}
        steps, judged = self._marks[proposal.cell][point], self._judged[proposal.key]
        record = Record(trial, status, steps, judged, [], final, 0.0, 0.0)  # type: ignore[arg-type]
        self._proposers[proposal.cell].end(record)

    def choice(self) -> Proposal | None:
        return self.choices()[0]

    def choices(self) -> list[Proposal | None]:
        choices: list[Proposal | None] = []
        for number, proposer in enumerate(self._proposers):
            best = chosen(proposer.group, proposer.cell)
            phi = math.nan if best is None else float(best.schedule.get("phi", math.nan))
            choices.append(None if best is None else Proposal("choice", best.family, phi, best.base_lr, number))
        return choices
