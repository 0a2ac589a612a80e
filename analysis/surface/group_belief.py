"""What all trials of a workload and optimizer say of each of its cells: the belief on which the search acts.

Its hyperparameters are integrated over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.cell_trials import CellTrials
from phitune.analysis.surrogate import gaussian_process as gp
from phitune.analysis.surrogate.belief import Belief, Points
from phitune.analysis.surrogate.coordinates import placed
from phitune.analysis.surrogate.evidence import LENGTHS, Evidence, Outcomes

Array = NDArray[np.float64]

SETTINGS = 12
# Trials from which hyperparameters are learnt, at most; drawn at random.
MOST = 200
# Trials up to which beliefs are exact, and the inducing points beyond: more than a search has the time for.
EXACT, INDUCING = 1000, 400


class GroupBelief:
    """The belief about the cells of one workload and optimizer.

    Args:
        cells: The trials of each, of which one at least completed.
        rng: Source of randomness.
        settings: The hyperparameters; by default learnt from these trials.
    """

    def __init__(
        self, cells: Sequence[CellTrials], rng: np.random.Generator, settings: gp.Settings | None = None
    ) -> None:
        self.cells = cells
        self._labels = sorted({label for cell in cells for label in cell.labels})
        self.evidence = Evidence.of(_joined(cells, self._labels), len(self._labels))
        data = self.evidence.data
        self.settings = settings or gp.settings(subset(data, rng), self.evidence.priors, rng, SETTINGS)
        self.mode, *self.beliefs = (
            Belief(data, h, EXACT, INDUCING) for h in (self.settings.mode, *self.settings.draws)
        )

    def rows(self, cell: int, label: str | None = None) -> NDArray[np.int64]:
        """The points that are a cell's trials, or those of them that lie on a family's surface."""
        trials = self.cells[cell]
        mine = np.ones(len(trials.log_lr), dtype=np.bool_) if label is None else trials.in_group(label)
        return np.flatnonzero(np.isin(self.evidence.rows, self.first(cell) + np.flatnonzero(mine)))

    def first(self, cell: int) -> int:
        """The first of a cell's trials among those of all."""
        return sum(len(each.log_lr) for each in self.cells[:cell])

    def on_surface(self, label: str) -> NDArray[np.int64]:
        """The points that lie on a family's surface, whatever their cell."""
        return np.concatenate([self.rows(i, label) for i, cell in enumerate(self.cells) if label in cell.labels])

    def points(self, cell: int, labels: Sequence[str], shape: Array, log_lr: Array) -> Points:
        """A cell's configurations: families (m,), shapes (m, 3) and log base LRs (m,), as points of the model."""
        group = self.cells[cell].group
        families = np.array([self._labels.index(group[label]) for label in labels])
        return self.evidence.points(np.full(len(log_lr), cell), families, placed(shape.copy(), log_lr))

    def alone(self, cell: int, rng: np.random.Generator) -> GroupBelief:
        """What a cell's own trials say, by the same hyperparameters."""
        if len(self.cells) == 1:
            return self
        mode, *draws = (
            replace(h, lengths=h.lengths[: len(LENGTHS)], budget=None)
            for h in (self.settings.mode, *self.settings.draws)
        )
        return GroupBelief([self.cells[cell]], rng, gp.Settings(mode, tuple(draws), self.settings.log_evidence))


def subset(data: gp.Data, rng: np.random.Generator) -> gp.Data:
    """The points from which hyperparameters are learnt: all, or `MOST` drawn at random."""
    n = len(data.y)
    return data if n <= MOST else data.take(np.sort(rng.choice(n, MOST, replace=False)))


def _joined(cells: Sequence[CellTrials], labels: Sequence[str]) -> Outcomes:
    """The outcomes of several cells, with the families as indices of `labels`."""
    each = [cell.outcomes for cell in cells]
    rungs = max(outcomes.rungs.shape[1] for outcomes in each)
    family = [np.array([labels.index(label) for label in cell.labels])[cell.outcomes.family] for cell in cells]
    padded = [np.pad(o.rungs, ((0, 0), (0, rungs - o.rungs.shape[1])), constant_values=np.nan) for o in each]
    return Outcomes(
        budgets=[budget for outcomes in each for budget in outcomes.budgets],
        cell=np.repeat(np.arange(len(each)), [len(outcomes.cell) for outcomes in each]),
        place=np.concatenate([outcomes.place for outcomes in each]),
        family=np.concatenate(family),
        seed=np.concatenate([outcomes.seed for outcomes in each]),
        status=np.concatenate([outcomes.status for outcomes in each]),
        objective=np.concatenate([outcomes.objective for outcomes in each]),
        rungs=np.concatenate(padded),
        mode=each[0].mode,
        exact=all(outcomes.exact for outcomes in each),
    )
