"""What cells say of phi* and of the LR that goes with it, ready for a model over all of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import Quantity
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.surface.cell_surface import CellSurface
from phitune.analysis.trends.hierarchy import GROUP, Cells
from phitune.analysis.trends.likelihood import likelihoods

Array = NDArray[np.float64]

LOCATED = ("ok", "boundary")


@dataclass(frozen=True)
class CellDraws:
    """What one cell's surface says of phi* and of the LR that goes with it.

    Attributes:
        workload: Its label.
        optimizer: Its name.
        budget: In iterations.
        located: Whether phi* was found or bounded there.
        log_range: Ends of the range of log phi searched.
        log_phi: Draws of log phi*, shape (s,).
        log_mean_lr: Draws of the log mean LR there, shape (s,).
    """

    workload: str
    optimizer: str
    budget: int
    located: bool
    log_range: tuple[float, float]
    log_phi: Array
    log_mean_lr: Array

    @property
    def group(self) -> str:
        """The level of the workload with the optimizer."""
        return group_of(self.workload, self.optimizer)


def cell_draws(cells: Sequence[CellGuideline], surfaces: Sequence[CellSurface]) -> list[CellDraws]:
    """Of all cells whose surface says anything."""
    return [
        CellDraws(
            c.label,
            c.optimizer,
            c.budget,
            c.verdict in LOCATED,
            (math.log(s.grid[0]), math.log(s.grid[-1])),
            s.log_phi_draws,
            s.log_mean_lr_draws,
        )
        for c, s in zip(cells, surfaces, strict=True)
        if s.log_phi_draws.size
    ]


@dataclass(frozen=True)
class Gathered:
    """What cells say of one quantity, ready to be fitted.

    Attributes:
        quantity: What it is of.
        known: The cells.
        cells: The same for the model, its theta the log quantity less `offset`.
        offset: The middle of the cells' log quantities.
        reference: Geometric mean of the budgets, in iterations.
    """

    quantity: Quantity
    known: Sequence[CellDraws]
    cells: Cells
    offset: float
    reference: float

    def take(self, rows: NDArray[np.bool_]) -> "Gathered":
        """Some of the cells, by a mask (n,)."""
        known = [c for c, keep in zip(self.known, rows, strict=True) if keep]
        return replace(self, known=known, cells=self.cells.take(rows))


def gather(known: Sequence[CellDraws], quantity: Quantity) -> Gathered:
    """What cells, at least one, say of a quantity."""
    draws = [c.log_phi if quantity == "phi" else c.log_mean_lr for c in known]
    offset = float(np.median([np.median(d) for d in draws]))
    ranges = [(c.log_range[0] - offset, c.log_range[1] - offset) if quantity == "phi" else None for c in known]
    log_budget = np.log([float(c.budget) for c in known])
    labels, optimizers = tuple(c.workload for c in known), tuple(c.optimizer for c in known)
    data = tuple(data_of(label) for label in labels)
    levels = {GROUP: tuple(c.group for c in known)}
    if len(set(optimizers)) > 1:
        levels |= {"optimizer": optimizers}
        # With one optimizer a workload's intercept is its group's.
        levels |= {"architecture": labels} if len(set(labels)) > 1 else {}
    if 1 < len(set(data)) < len(set(labels)):
        levels |= {"data": data}
    cells = Cells(log_budget - log_budget.mean(), levels, likelihoods([d - offset for d in draws], ranges))
    return Gathered(quantity, known, cells, offset, float(np.exp(log_budget.mean())))


def group_of(workload: str, optimizer: str) -> str:
    """The level of a workload with an optimizer."""
    return f"{workload} with {optimizer}"


def data_of(workload: str) -> str:
    """The data set in a workload's label, such as digits in ``mlp/digits``; the label itself if it names none."""
    return workload.partition("(")[0].partition("/")[2] or workload
