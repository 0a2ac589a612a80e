"""What the search believes of a workload and optimizer, and which trial it would run next in each of its cells.

All trials of all budgets are one body of evidence for one Gaussian process (`phitune.analysis.surrogate`).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from phitune.analysis.surrogate.belief import Points
from phitune.analysis.surrogate.evidence import Evidence
from phitune.analysis.surrogate.gaussian_process import Hyperparameters, settings
from phitune.analysis.surrogate.guide import Guide, residual
from phitune.analysis.surrogate.policy import CellPolicy, Proposal
from phitune.analysis.surrogate.space import Configurations
from phitune.search.proposing.rows import GOLDEN, Row, fitted, outcomes, spread_over_time
from phitune.search.proposing.space import stable_seed, surrogate_space
from phitune.search.proposing.standing import Standing
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.predict import AtRung
from phitune.search.study.cell import Cell

# Quasi-random trials with which a cell begins; so many, where other cells of the group have ENOUGH completed ones.
START = 4
WARM = 1
ENOUGH = 6
# The share of the range of log LR, its middle, in which a cell begins.
INNER = 0.8
# Trials that a proposal takes into account, those in flight, and those to which the hyperparameters are fitted.
WINDOW = 200
RUNNING = 64
FIT = 150
# Draws of the hyperparameters over which a choice takes the mean.
DRAWS = 8


class Group:
    """The cells of one workload and optimizer.

    Its state is a function of the trials started and ended, in the order of their ends, so that a new process comes
    to the same belief. Hyperparameters are fitted anew, always from the priors' centre, whenever a tenth more trials
    have ended. A cell's proposals see at most `WINDOW` trials: the cell's own, then those of the nearest budgets; where
    there are more, an even selection by the order of their ends, whatever their outcome.

    Args:
        cells: Of the study.
        seed: Of the study.
        earlier: Cells of an earlier study, whose trials are evidence too.
        guide: What other workloads say, for a workload without earlier trials of its own.
    """

    def __init__(
        self, cells: Sequence[Cell], seed: int, earlier: Iterable[EarlierCell] = (), guide: Guide | None = None
    ) -> None:
        earlier = list(earlier)
        self._guide = guide
        self._seed = seed
        self._mode = cells[0].mode
        self._exact = cells[0].deterministic
        self._index = {cell.key: number for number, cell in enumerate(cells)}
        self._cells = list(cells)
        self._spaces = [surrogate_space(cell) for cell in cells]
        self._families = {space.label: number for number, space in enumerate(cells[0].families)}
        self._budgets = [*(cell.budget for cell in cells), *(other.budget for other in earlier)]
        self._rows: list[Row] = []
        # Of each cell its rows, in an order in which every beginning is spread evenly over the times of their ends.
        self._spread: list[list[tuple[float, int]]] = [[] for _ in self._budgets]
        self._completed = [0] * len(self._budgets)
        self._running: dict[str, Row] = {}
        self._fitted: tuple[int, Hyperparameters] | None = None
        self._drawn: tuple[int, tuple[Hyperparameters, ...]] | None = None
        self._milestone = 4
        self._standings: dict[int, Standing] = {}
        self._policy: tuple[tuple[int, int], CellPolicy] | None = None
        for number, other in enumerate(earlier, start=len(cells)):
            for record in other.records:
                self._add(self._row(number, record.trial, other.budget), record)

    def start(self, trial: Trial) -> None:
        """A trial is in flight."""
        self._running[trial.trial_id] = self._row_of(trial)

    def end(self, record: Record) -> None:
        """A trial has ended."""
        row = self._running.pop(record.trial.trial_id, None) or self._row_of(record.trial)
        self._add(row, record)

    def propose(self, cell: Cell, number: int) -> Proposal:
        """The next configuration of a cell.

        The quasi-random start is not valued.

        Args:
            cell: One of the group's.
            number: Of its explore trials so far.
        """
        index = self._index[cell.key]
        others = sum(self._completed) - self._completed[index]
        at_random = START if others < ENOUGH else WARM
        if self._guide is None and (number < at_random or sum(self._completed) < 2):
            count = 1 << max(3, number.bit_length())
            start = self._spaces[index].quasi_random(count, stable_seed(self._seed, cell.key, "start"), INNER)
            return Proposal(start.take(np.array([number])), None)
        policy = self._policy_of(index)
        proposal = policy.propose(self._in_flight(policy, index), self._rng(cell.key, number))
        self._standings[index] = Standing.of(cell, index, policy, proposal)
        return proposal

    def standing(self, cell: Cell) -> Standing | None:
        """How a cell stood at its last valued proposal; None before."""
        return self._standings.get(self._index[cell.key])

    def at_rung(self, trial_id: str, judged: Sequence[float], behind: float) -> AtRung | None:
        """What a trial is worth; None if no end is foretold that is far behind the best.

        Args:
            trial_id: Of a trial in flight.
            judged: Its values at the rungs so far.
            behind: How far, in standard deviations of what is foretold.
        """
        row = self._running[trial_id]
        index = row.cell
        judged_row = replace(row, status="stopped", rungs=tuple(judged))
        rows = [*(self._rows[number] for number in self._window(index)), judged_row]
        evidence = self._evidence(rows)
        if not len(evidence.rows) or evidence.rows[-1] != len(rows) - 1:
            return None
        h, spread = self._hyperparameters(), evidence.uncertainty(-1)
        distance = float(evidence.data.y[-1]) - self._policy_of(index).least
        if distance < behind * math.sqrt(spread**2 + h.variance):
            return None
        policy = CellPolicy(self._spaces[index], index, evidence, h, self._guide)
        running = self._in_flight(policy, index, trial_id)
        place = evidence.points(np.array([index]), np.array([row.family]), row.place[None])
        return AtRung(*policy.values_at_rung(place, spread, running, self._rng(trial_id, len(judged))))

    def choice(self, cell: Cell, family: str | None = None) -> Configurations | None:
        """The configuration of a cell that is best by all trials.

        None before two trials have been completed; under a guide, before one.

        Args:
            cell: One of the group's.
            family: Label of the family to choose from; all by default.
        """
        if sum(self._completed) < (2 if self._guide is None else 1):
            return None
        index = self._index[cell.key]
        policy = self._policy_of(index) if len(self._rows) <= WINDOW else self._believe(index, self._rows)
        among = None if family is None else np.array([self._families[family]])
        return policy.choice(self._rng(cell.key, family), among, self._settings(policy))

    def completed(self, cell: Cell) -> int:
        """Completed trials of a cell, replicates included."""
        return self._completed[self._index[cell.key]]

    def _rng(self, *parts: object) -> np.random.Generator:
        return np.random.default_rng(stable_seed(self._seed, *parts))

    def _row_of(self, trial: Trial) -> Row:
        index = self._index[trial.cell]
        return self._row(index, trial, self._budgets[index])

    def _row(self, cell: int, trial: Trial, budget: int) -> Row:
        family = self._families.setdefault(trial.family, len(self._families))
        return Row.of(cell, trial, budget, family)

    def _add(self, row: Row, record: Record) -> None:
        number = len(self._rows)
        self._rows.append(row.ended(record))
        insort(self._spread[row.cell], (number * GOLDEN % 1.0, number))
        self._completed[row.cell] += record.status == "completed"

    def _window(self, cell: int) -> list[int]:
        """The rows that the cell's proposals see, in the order of their ends."""
        chosen: list[int] = []
        near = sorted(
            range(len(self._budgets)),
            key=lambda other: (other != cell, abs(math.log(self._budgets[other] / self._budgets[cell])), other),
        )
        for other in near:
            chosen += [number for _, number in self._spread[other][: WINDOW - len(chosen)]]
        return sorted(chosen)

    def _evidence(self, rows: Sequence[Row]) -> Evidence:
        return Evidence.of(outcomes(rows, self._budgets, self._mode, self._exact), len(self._families))

    def _hyperparameters(self) -> Hyperparameters:
        """The most probable ones after the last milestone of ended trials."""
        ended = len(self._rows)
        while (following := self._milestone + max(2, self._milestone // 10)) <= ended:
            self._milestone = following
        count = min(self._milestone, ended)
        if self._fitted is None or self._fitted[0] != count:
            evidence = self._evidence([self._rows[number] for number in spread_over_time(count, FIT)])
            self._fitted = count, fitted(evidence, self._guide)
        return self._fitted[1]

    def _settings(self, policy: CellPolicy) -> tuple[Hyperparameters, ...]:
        """Draws of the hyperparameters; the last ones are kept. None from a single trial."""
        if len(policy.evidence.rows) < 2:
            return ()
        if self._drawn is None or self._drawn[0] != len(self._rows):
            data = residual(policy.evidence, policy.belief.h, self._guide)
            rng = self._rng("settings", len(self._rows))
            if len(data.y) > FIT:
                data = data.take(np.sort(rng.choice(len(data.y), FIT, replace=False)))
            self._drawn = len(self._rows), settings(data, policy.evidence.priors, rng, DRAWS).draws
        return self._drawn[1]

    def _policy_of(self, cell: int) -> CellPolicy:
        """The cell's policy by its window; the last one is kept."""
        key = cell, len(self._rows)
        if self._policy is None or self._policy[0] != key:
            self._policy = key, self._believe(cell, [self._rows[number] for number in self._window(cell)])
        return self._policy[1]

    def _believe(self, cell: int, rows: Sequence[Row]) -> CellPolicy:
        evidence = self._evidence(rows)
        return CellPolicy(self._spaces[cell], cell, evidence, self._hyperparameters(), self._guide)

    def _in_flight(self, policy: CellPolicy, cell: int, without: str = "") -> Points | None:
        """The trials in flight, the cell's own first."""
        rows = [row for trial_id, row in self._running.items() if trial_id != without]
        rows = sorted(rows, key=lambda row: row.cell != cell)[:RUNNING]
        if not rows:
            return None
        cells, families = (np.array(each) for each in zip(*((row.cell, row.family) for row in rows), strict=True))
        return policy.evidence.points(cells, families, np.array([row.place for row in rows]))
