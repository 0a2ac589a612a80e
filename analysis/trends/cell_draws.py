"""Each cell's draws of a parameter's best value and of the mean LR at it, and the data of a trend made from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import MEAN_LR
from phitune.analysis.answers.shape_guideline import LOCATED
from phitune.analysis.results.table import CellKey
from phitune.analysis.surface import CellSurface
from phitune.analysis.trends.likelihood import likelihoods
from phitune.analysis.trends.observations import GROUP, Observations

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CellDraws:
    """Posterior draws of one cell, of one family's parameter.

    Attributes:
        workload: Its label.
        optimizer: Its name.
        budget: In iterations.
        located: Whether the cell's trials locate the best value or bound it.
        log_range: Logarithms of the ends of the range searched.
        log_value: Draws of the log best value, shape (s,).
        log_mean_lr: Draws of the log mean LR at it, shape (s,).
    """

    workload: str
    optimizer: str
    budget: int
    located: bool
    log_range: tuple[float, float]
    log_value: Array
    log_mean_lr: Array

    @property
    def group(self) -> str:
        """The level of the workload with the optimizer."""
        return group_of(self.workload, self.optimizer)


def cell_draws(keys: Sequence[CellKey], surfaces: Sequence[CellSurface]) -> list[CellDraws]:
    """Draws of the cells whose surface, of one family, was fitted."""
    return [
        CellDraws(
            *key,
            located=surface.verdict in LOCATED,
            log_range=(math.log(surface.grid[0]), math.log(surface.grid[-1])),
            log_value=surface.log_phi_draws,
            log_mean_lr=surface.log_mean_lr_draws,
        )
        for key, surface in zip(keys, surfaces, strict=True)
        if surface.log_phi_draws.size
    ]


@dataclass(frozen=True)
class TrendData:
    """Data that a trend of one quantity is fitted to.

    Attributes:
        quantity: The parameter's name, or `MEAN_LR` for the mean LR that goes with it.
        cells: The cells.
        observations: The cells as the hierarchical model takes them; theta is the log quantity less `offset`.
        offset: Median over the cells of the log quantity.
        reference: Geometric mean of the budgets, in iterations.
    """

    quantity: str
    cells: Sequence[CellDraws]
    observations: Observations
    offset: float
    reference: float

    def take(self, rows: NDArray[np.bool_]) -> "TrendData":
        """The subset of the cells that a mask (n,) selects."""
        cells = [c for c, keep in zip(self.cells, rows, strict=True) if keep]
        return replace(self, cells=cells, observations=self.observations.take(rows))


def trend_data(cells: Sequence[CellDraws], quantity: str) -> TrendData:
    """The data for a trend of a quantity over cells, at least one."""
    of_lr = quantity == MEAN_LR
    draws = [c.log_mean_lr if of_lr else c.log_value for c in cells]
    offset = float(np.median([np.median(d) for d in draws]))
    ranges = [None if of_lr else (c.log_range[0] - offset, c.log_range[1] - offset) for c in cells]
    log_budget = np.log([float(c.budget) for c in cells])
    labels, optimizers = tuple(c.workload for c in cells), tuple(c.optimizer for c in cells)
    data = tuple(data_of(label) for label in labels)
    levels = {GROUP: tuple(c.group for c in cells)}
    if len(set(optimizers)) > 1:
        levels |= {"optimizer": optimizers}
        # With one optimizer a workload's intercept is its group's.
        levels |= {"architecture": labels} if len(set(labels)) > 1 else {}
    if 1 < len(set(data)) < len(set(labels)):
        levels |= {"data": data}
    observations = Observations(
        log_budget - log_budget.mean(), levels, likelihoods([d - offset for d in draws], ranges)
    )
    return TrendData(quantity, cells, observations, offset, float(np.exp(log_budget.mean())))


def group_of(workload: str, optimizer: str) -> str:
    """The level of a workload with an optimizer."""
    return f"{workload} with {optimizer}"


def data_of(workload: str) -> str:
    """The data set in a workload's label, such as digits in ``mlp/digits``; the label itself if it names none."""
    return workload.partition("(")[0].partition("/")[2] or workload
