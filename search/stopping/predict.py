"""Early stopping by what a trial's end is worth: the surrogate foretells it from the rungs so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from phitune.search.stopping.ladder import Stopping
from phitune.search.study.cell import Cell

# Completed trials of a cell before any of its trials is stopped.
FEWEST = 10
# A trial is not stopped unless its end is foretold to be so many standard deviations behind the best.
BEHIND = 2.0


@dataclass(frozen=True)
class AtRung:
    """What a trial at a rung is worth.

    Attributes:
        end: Expected fall of the least posterior mean by training it to its end.
        new: Expected fall by a new trial.
    """

    end: float
    new: float


class Foretelling(Protocol):
    """The belief of a cell's workload and optimizer."""

    def completed(self, cell: Cell) -> int:
        """Completed trials of a cell."""
        ...

    def at_rung(self, trial_id: str, judged: Sequence[float], behind: float) -> AtRung | None:
        """What a trial in flight is worth, by its values at the rungs so far.

        None if nothing is foretold, or an end that is less than ``behind`` of its standard deviations behind the best.
        """
        ...


class Prediction(Stopping):
    """Stops the trials of one cell that are worth less than new ones.

    At a rung, the belief foretells the trial's end from its judged values, its schedule and the trials that were
    completed. The trial goes on unless seeing its end is worth less, per iteration that it still needs, than the best
    new trial is per iteration. Worth is the expected fall of the least posterior mean
    (`phitune.analysis.surrogate.knowledge_gradient`).

    Args:
        belief: Of the cell's workload and optimizer.
        cell: The cell.
        shares: Shares of the budget that a trial has had at each rung.
    """

    def __init__(self, belief: Foretelling, cell: Cell, shares: Sequence[float]) -> None:
        super().__init__()
        self._belief, self._cell = belief, cell
        self._shares = shares
        self._judged: dict[str, dict[int, float]] = {}

    def note(self, trial_id: str, family: str, rung: int, value: float) -> None:
        """Notes a value without judging it; a trial's earlier value stands."""
        self._judged.setdefault(trial_id, {}).setdefault(rung, value)

    def note_diverged(self, trial_id: str, family: str) -> None:
        """Nothing: the belief knows of diverged trials."""

    def _goes_on(self, trial_id: str, rung: int) -> bool:
        if self._belief.completed(self._cell) < FEWEST:
            return True
        values = self._judged[trial_id]
        judged = [values.get(each, math.nan) for each in range(1, rung + 1)]
        if not math.isfinite(judged[-1]):
            return False
        worth = self._belief.at_rung(trial_id, judged, BEHIND)
        return worth is None or worth.end / (1.0 - self._shares[rung - 1]) >= worth.new
