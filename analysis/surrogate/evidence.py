"""From the trials of a workload and optimizer to the points that the model is fitted to.

All trials enter: completed ones with their objective, stopped ones with the end that their rungs foretell, diverged
ones as far from the best. Failed ones say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate import coordinates
from phitune.analysis.surrogate.belief import Points
from phitune.analysis.surrogate.ends import predicted_ends
from phitune.analysis.surrogate.gaussian_process import Data, Priors
from phitune.analysis.surrogate.scale import CLIFF, FAR, Scale, squeezed, stretched

Array = NDArray[np.float64]

# Prior standard deviations of levels: of a cell, and of a family against others of the same shape.
CELL = 0.5
FAMILY = 0.04
# Where y lies before any trial.
MIDDLE = 0.5
# Standard deviation of what a diverged trial says.
DIVERGED = 0.05
# What is this many times as far from the best as nine tenths of the completed trials lies on a cliff, and a smooth
# surface follows it only in part: else, where all that completed differ by a few per cent, one failure bends it.
CLIFF_FROM, MOST_OF = 4.0, 0.9
CLIFF_MISFIT = 0.25
# What nine tenths of a search's trials are usually within, and less than which they are measured by their own spread;
# fewer completed trials than FEWEST do not tell.
USUAL, NARROW, FEWEST = 0.5, 0.05, 5
# Medians and spreads of lengthscales: of log mean LR, area and tail; of log2 of the budget.
LENGTHS = ((1.2, 0.7), (5.0, 0.9), (5.0, 0.9))
BUDGET_LENGTH = (8.0, 0.7)


@dataclass(frozen=True)
class Outcomes:
    """Trials of one workload and optimizer, as arrays of n rows.

    Attributes:
        budgets: Of each cell, its iterations.
        cell: Index of each trial's cell.
        place: Coordinates of the schedule and LR, shape (n, 3); see `surrogate.coordinates`.
        family: Index of the family.
        seed: Seed of the trial.
        status: "completed", "stopped", "diverged" or "failed".
        objective: Final objective; NaN unless completed.
        rungs: Judged value at each rung, shape (n, r); NaN where the trial did not come so far.
        mode: Whether a small ("min") or a large ("max") objective is good.
        exact: Whether trials have no seed noise.
    """

    budgets: Sequence[int]
    cell: NDArray[np.int64]
    place: Array
    family: NDArray[np.int64]
    seed: NDArray[np.int64]
    status: NDArray[np.str_]
    objective: Array
    rungs: Array
    mode: str = "min"
    exact: bool = False


@dataclass(frozen=True)
class Evidence:
    """The points, and how they came from the objective.

    Attributes:
        data: The points.
        rows: The trial of each point.
        scales: Of each cell, its scale.
        best: Of each cell, the lowest completed value on its scale, from which excesses count; NaN without one.
        families: Number of families.
        common: Number of errors that foretold ends share.
        exact: Whether trials have no seed noise.
        best_place: Of each cell, the coordinates of that lowest value's trial, shape (c, 3).
        unit: What excesses are divided by before they are squeezed: 1, or less where nine tenths of the trials lie
            close together, as losses of language models do; the priors are for differences of some tenths.
    """

    data: Data
    rows: NDArray[np.int64]
    scales: tuple[Scale, ...]
    best: Array
    log_budgets: Array
    families: int
    common: int
    exact: bool
    best_place: Array
    unit: float = 1.0

    @classmethod
    def of(cls, outcomes: Outcomes, families: int) -> Evidence:
        """The points of some trials, possibly none."""
        cells = len(outcomes.budgets)
        n = len(outcomes.cell)
        y, extra = np.full(n, np.nan), np.zeros(n)
        best, best_place = np.full(cells, np.nan), np.full((cells, 3), np.nan)
        scales, shared = [], [np.zeros((n, 0))]
        completed = (outcomes.status == "completed") & np.isfinite(outcomes.objective)
        diverged = outcomes.status == "diverged"
        y[diverged], extra[diverged] = squeezed(CLIFF), DIVERGED**2
        values, far = [], []
        for cell in range(cells):
            done = completed & (outcomes.cell == cell)
            scale = Scale.of(outcomes.objective[done], outcomes.mode)
            scales.append(scale)
            values.append(scale.forward(outcomes.objective))
            if not done.any():
                continue
            best[cell] = values[cell][done].min()
            best_place[cell] = outcomes.place[np.flatnonzero(done)[values[cell][done].argmin()]]
            if done.sum() >= FEWEST:
                far.append(float(np.quantile(values[cell][done] - best[cell], MOST_OF)))
        spread = float(np.median(far)) if far else 0.0
        unit = spread / USUAL if 0.0 < spread < NARROW else 1.0
        for cell in np.flatnonzero(np.isfinite(best)).tolist():
            mine = outcomes.cell == cell
            done, value = mine & completed, values[cell]
            y[done] = squeezed(np.minimum((value[done] - best[cell]) / unit, CLIFF))
            stopped = mine & (outcomes.status == "stopped")
            if stopped.any():
                ends = predicted_ends(outcomes.place, scales[cell].forward(outcomes.rungs), value, done, stopped)
                excess = np.minimum((ends.value - best[cell]) / unit, CLIFF)
                y[stopped] = squeezed(excess)
                # On the squeezed scale an uncertainty far from the best is a small one.
                slope = np.minimum(np.exp(-excess / FAR), 1.0) / unit
                extra[stopped] = (ends.spread * slope) ** 2
                shared.append(np.zeros((n, ends.shared.shape[1])))
                shared[-1][stopped] = ends.shared * slope[:, None]
            beyond = np.nan_to_num(y[mine]) - CLIFF_FROM * np.quantile(y[done], MOST_OF)
            extra[mine] += (CLIFF_MISFIT * np.maximum(beyond, 0.0)) ** 2
        rows = np.flatnonzero(np.isfinite(y) & (outcomes.status != "failed"))
        log_budgets = np.log2(np.asarray(outcomes.budgets, dtype=np.float64))
        errors = np.concatenate(shared, axis=1)[rows]
        common = errors.shape[1]
        bare = cls(_NONE, rows, tuple(scales), best, log_budgets, families, common, outcomes.exact, best_place, unit)
        points = bare.points(outcomes.cell[rows], outcomes.family[rows], outcomes.place[rows])
        points.levels[:, cells + families :] = errors
        return replace(bare, data=Data(points.x, points.levels, y[rows] - MIDDLE, extra[rows], outcomes.seed[rows]))

    def points(self, cell: NDArray[np.int64], family: NDArray[np.int64], place: Array) -> Points:
        """Configurations as points of the model.

        Args:
            cell: Index of each one's cell, shape (m,).
            family: Index of its family, shape (m,).
            place: Coordinates, shape (m, 3).
        """
        cells = len(self.log_budgets)
        levels = np.zeros((len(cell), cells + self.families + self.common))
        rows = np.arange(len(cell))
        levels[rows, cell], levels[rows, cells + family] = CELL, FAMILY
        x = place if cells == 1 else np.column_stack([place, self.log_budgets[cell]])
        return Points(x, levels)

    def uncertainty(self, row: int) -> float:
        """Standard deviation with which the end of a point's trial is foretold, beyond a trial's noise; 0 if seen."""
        common = self.data.levels[row, len(self.log_budgets) + self.families :]
        return math.sqrt(float(self.data.extra[row] + common @ common))

    @cached_property
    def priors(self) -> Priors:
        """The priors for these data."""
        several = len(self.log_budgets) > 1
        lengths = (*LENGTHS, BUDGET_LENGTH) if several else LENGTHS
        budget = len(LENGTHS) if several else None
        # Of one seed alone nothing tells what it shares from the level of all.
        repeated = 1 < len(np.unique(self.data.seed)) < len(self.data.seed)
        shared = (0.03, 1.0) if repeated and not self.exact else None
        return Priors(lengths, noise=None if self.exact else (0.07, 1.0), shared=shared, budget=budget)

    def excess(self, y: Array) -> Array:
        """Excess over the cell's best observed value, on its scale, from values of the model."""
        return self.unit * stretched(y + MIDDLE)

    def value(self, excess: Array) -> Array:
        """Undoes `excess`, up to that of a cliff."""
        return squeezed(np.minimum(excess / self.unit, CLIFF)) - MIDDLE


_NONE = Data(
    np.empty((0, len(coordinates.NAMES))), np.empty((0, 0)), np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
)
