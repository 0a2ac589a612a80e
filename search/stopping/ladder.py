"""Early stopping: the iterations of a cell's rungs, what judges there, and ASHA's ladder."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

from phitune.search.records.record import Verdict
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study
from phitune.search.study.sections import Asha

# The best trials of each family that go on from a rung whatever the other families do, so that every family has some
# uncensored trials.
FAIR = 1
_SHORTEST = 16


def rungs(cell: Cell, study: Study) -> tuple[int, ...]:
    """The iterations at which trials of a cell are judged.

    None without early stopping and for budgets too short to judge anything (under 16 iterations).
    """
    ladder = study.ladder
    if ladder is None or cell.budget < _SHORTEST:
        return ()
    return tuple(sorted({max(1, round(share * cell.budget)) for share in ladder.shares}))


class Stopping(ABC):
    """Judges the trials of one cell at its rungs.

    A verdict stands: a trial that comes to a rung again, after a restart, is not judged again.
    """

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, int], bool] = {}

    def judge(self, trial_id: str, family: str, rung: int, value: float) -> bool:
        """Whether a trial goes on from ``rung`` (from 1), where its averaged weights have ``value``."""
        self.note(trial_id, family, rung, value)
        if (trial_id, rung) not in self._verdicts:
            self._verdicts[trial_id, rung] = self._goes_on(trial_id, rung)
        return self._verdicts[trial_id, rung]

    def restore(self, verdict: Verdict) -> None:
        """Takes over a verdict of an earlier process."""
        self.note(verdict.trial_id, verdict.family, verdict.rung, verdict.value)
        self._verdicts[verdict.trial_id, verdict.rung] = verdict.goes_on

    @abstractmethod
    def note(self, trial_id: str, family: str, rung: int, value: float) -> None:
        """Notes a value without judging it; a trial's earlier value stands."""

    @abstractmethod
    def note_diverged(self, trial_id: str, family: str) -> None:
        """Notes that a trial diverged."""

    @abstractmethod
    def _goes_on(self, trial_id: str, rung: int) -> bool:
        """Whether a trial whose value is noted goes on from ``rung``."""


class Ladder(Stopping):
    """Asynchronous successive halving in one cell (Li et al., MLSys 2020, arXiv 1810.05934).

    At a rung a trial goes on if it is among the best ``1/reduction`` of all that have been there so far, itself
    included, or among the best ``fair`` of its own family. A rung cuts nobody before ``minimum`` trials have been
    there. A diverged trial counts as the worst at every rung it did not reach.

    Args:
        count: Number of rungs.
        mode: Whether small (``min``) or large (``max``) values are good.
        settings: Reduction factor and minimum population.
        fair: So many of a family go on from a rung whatever the other families do.
    """

    def __init__(self, count: int, mode: Literal["min", "max"], settings: Asha | None = None, fair: int = FAIR) -> None:
        super().__init__()
        self._settings = settings or Asha()
        self._fair = fair
        self._rungs: list[dict[str, float]] = [{} for _ in range(count)]
        self._families: dict[str, str] = {}
        self._sign = 1.0 if mode == "min" else -1.0

    def note(self, trial_id: str, family: str, rung: int, value: float) -> None:
        """Notes a value without judging it; a trial's earlier value stands."""
        signed = self._sign * value
        self._families[trial_id] = family
        self._rungs[rung - 1].setdefault(trial_id, signed if math.isfinite(signed) else math.inf)

    def note_diverged(self, trial_id: str, family: str) -> None:
        """Counts the trial as the worst at every rung it did not reach."""
        self._families[trial_id] = family
        for rung in self._rungs:
            rung.setdefault(trial_id, math.inf)

    def _goes_on(self, trial_id: str, rung: int) -> bool:
        population = self._rungs[rung - 1]
        if len(population) < self._settings.minimum:
            return True
        value = population[trial_id]
        if not math.isfinite(value):
            return False
        better = [other for other, theirs in population.items() if theirs < value]
        if len(better) < math.ceil(len(population) / self._settings.reduction):
            return True
        family = self._families[trial_id]
        return sum(self._families[other] == family for other in better) < self._fair
