"""What the search believes of a workload and optimizer, and which trial it would run next in each of its cells.

All trials of all budgets are one body of evidence for one Gaussian process (`phitune.analysis.surrogate`).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate.belief import Points
from phitune.analysis.surrogate.coordinates import coordinates
from phitune.analysis.surrogate.evidence import Evidence, Outcomes
from phitune.analysis.surrogate.gaussian_process import Hyperparameters, most_probable, settings, unpack
from phitune.analysis.surrogate.policy import CellPolicy, Proposal
from phitune.analysis.surrogate.space import Configurations
from phitune.search.proposing.space import stable_seed, surrogate_space
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.predict import AtRung
from phitune.search.study.model import Cell
from phitune.trainables.schedules import from_dict

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

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True)
class _Row:
    """A trial as the surrogate sees it; of one in flight, the last three are not known."""

    cell: int
    place: NDArray[np.float64]
    family: int
    seed: int
    status: str = "running"
    objective: float = math.nan
    rungs: tuple[float, ...] = ()


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
    """

    def __init__(self, cells: Sequence[Cell], seed: int, earlier: Iterable[EarlierCell] = ()) -> None:
        earlier = list(earlier)
        self._seed = seed
        self._mode = cells[0].mode
        self._exact = cells[0].deterministic
        self._index = {cell.key: number for number, cell in enumerate(cells)}
        self._cells = list(cells)
        self._spaces = [surrogate_space(cell) for cell in cells]
        self._families = {space.label: number for number, space in enumerate(cells[0].families)}
        self._budgets = [*(cell.budget for cell in cells), *(other.budget for other in earlier)]
        self._rows: list[_Row] = []
        # Of each cell its rows, in an order in which every beginning is spread evenly over the times of their ends.
        self._spread: list[list[tuple[float, int]]] = [[] for _ in self._budgets]
        self._completed = [0] * len(self._budgets)
        self._running: dict[str, _Row] = {}
        self._fitted: tuple[int, Hyperparameters] | None = None
        self._drawn: tuple[int, tuple[Hyperparameters, ...]] | None = None
        self._milestone = 4
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
        if number < (START if others < ENOUGH else WARM) or sum(self._completed) < 2:
            count = 1 << max(3, number.bit_length())
            start = self._spaces[index].quasi_random(count, stable_seed(self._seed, cell.key, "start"), INNER)
            return Proposal(start.take(np.array([number])), None)
        policy = self._policy_of(index)
        return policy.propose(self._in_flight(policy, index), self._rng(cell.key, number))

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
        evidence = Evidence.of(self._outcomes(rows), len(self._families))
        if not len(evidence.rows) or evidence.rows[-1] != len(rows) - 1:
            return None
        h, spread = self._hyperparameters(), evidence.uncertainty(-1)
        distance = float(evidence.data.y[-1]) - self._policy_of(index).least
        if distance < behind * math.sqrt(spread**2 + h.variance):
            return None
        policy = CellPolicy(self._spaces[index], index, evidence, h)
        running = self._in_flight(policy, index, trial_id)
        place = evidence.points(np.array([index]), np.array([row.family]), row.place[None])
        return AtRung(*policy.values_at_rung(place, spread, running, self._rng(trial_id, len(judged))))

    def choice(self, cell: Cell, family: str | None = None) -> Configurations | None:
        """The configuration of a cell that is best by all trials; None before two trials have been completed.

        Args:
            cell: One of the group's.
            family: Label of the family to choose from; all by default.
        """
        if sum(self._completed) < 2:
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

    def _row_of(self, trial: Trial) -> _Row:
        index = self._index[trial.cell]
        return self._row(index, trial, self._budgets[index])

    def _row(self, cell: int, trial: Trial, budget: int) -> _Row:
        family = self._families.setdefault(trial.family, len(self._families))
        return _Row(cell, coordinates(from_dict(trial.schedule), budget, trial.base_lr), family, trial.seed)

    def _add(self, row: _Row, record: Record) -> None:
        completed = record.status == "completed"
        objective = record.final["objective"] if completed else math.nan
        judged = tuple(value for _, value in record.rungs)
        number = len(self._rows)
        self._rows.append(replace(row, status=record.status, objective=objective, rungs=judged))
        insort(self._spread[row.cell], (number * _GOLDEN % 1.0, number))
        self._completed[row.cell] += completed

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

    def _outcomes(self, rows: Sequence[_Row]) -> Outcomes:
        width = max((len(row.rungs) for row in rows), default=0)
        rungs = np.full((len(rows), width), np.nan)
        for number, row in enumerate(rows):
            rungs[number, : len(row.rungs)] = row.rungs
        return Outcomes(
            budgets=self._budgets,
            cell=np.array([row.cell for row in rows], dtype=np.int64),
            place=np.array([row.place for row in rows]).reshape(len(rows), 3),
            family=np.array([row.family for row in rows], dtype=np.int64),
            seed=np.array([row.seed for row in rows], dtype=np.int64),
            status=np.array([row.status for row in rows], dtype=np.str_),
            objective=np.array([row.objective for row in rows], dtype=np.float64),
            rungs=rungs,
            mode=self._mode,
            exact=self._exact,
        )

    def _hyperparameters(self) -> Hyperparameters:
        """The most probable ones after the last milestone of ended trials."""
        ended = len(self._rows)
        while (following := self._milestone + max(2, self._milestone // 10)) <= ended:
            self._milestone = following
        count = min(self._milestone, ended)
        if self._fitted is None or self._fitted[0] != count:
            spread = sorted(range(count), key=lambda number: number * _GOLDEN % 1.0)
            evidence = Evidence.of(self._outcomes([self._rows[i] for i in sorted(spread[:FIT])]), len(self._families))
            fit = len(evidence.rows) > 1
            theta = most_probable(evidence.data, evidence.priors) if fit else evidence.priors.centre_and_spread()[0]
            self._fitted = count, unpack(theta, evidence.priors)
        return self._fitted[1]

    def _settings(self, policy: CellPolicy) -> tuple[Hyperparameters, ...]:
        """Draws of the hyperparameters; the last ones are kept."""
        if self._drawn is None or self._drawn[0] != len(self._rows):
            data, rng = policy.evidence.data, self._rng("settings", len(self._rows))
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

    def _believe(self, cell: int, rows: Sequence[_Row]) -> CellPolicy:
        evidence = Evidence.of(self._outcomes(rows), len(self._families))
        return CellPolicy(self._spaces[cell], cell, evidence, self._hyperparameters())

    def _in_flight(self, policy: CellPolicy, cell: int, without: str = "") -> Points | None:
        """The trials in flight, the cell's own first."""
        rows = [row for trial_id, row in self._running.items() if trial_id != without]
        rows = sorted(rows, key=lambda row: row.cell != cell)[:RUNNING]
        if not rows:
            return None
        cells, families = (np.array(each) for each in zip(*((row.cell, row.family) for row in rows), strict=True))
        return policy.evidence.points(cells, families, np.array([row.place for row in rows]))
