"""phi* and the LR that goes with it against the budget, over all workloads together.

Each cell enters with all that its surface says: a wide interval weighs little, an optimum at the end of the range
searched is a bound. A slope is refused from fewer than four budgets, and claimed only when it predicts left-out cells
better than a constant and its interval leaves zero out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.budget_model import NORMAL_90, BudgetModel, Kind, Quantity
from analysis.cell_guideline import CellGuideline
from analysis.cell_surface import CellSurface
from analysis.hierarchy import GROUP, Cells, Form, Hierarchy, Line, fit
from analysis.likelihood import likelihoods

MIN_BUDGETS_FOR_SLOPE = 4
LOCATED = ("ok", "boundary")
QUANTITIES: tuple[Quantity, ...] = ("phi", "mean_lr")

Array = NDArray[np.float64]


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
class Trend:
    """A fitted trend of one quantity, ready to be asked for lines.

    Attributes:
        quantity: What it is of.
        known: The cells that it rests on.
        fitted: The chosen model; theta is the log quantity less `offset`.
        offset: The middle of the cells' log quantities.
        reference: Geometric mean of the budgets, in iterations.
        reason: Why this model.
        held_out: By name of the model; see `BudgetModel`.
        line: The log-linear model, whether or not it was chosen; None if refused.
    """

    quantity: Quantity
    known: Sequence[CellDraws]
    fitted: Hierarchy
    offset: float
    reference: float
    reason: str
    held_out: dict[str, float | None]
    line: Hierarchy | None

    def model(self, optimizer: str, workload: str | None) -> BudgetModel:
        """The line of a workload, or of one not searched yet (None), with an optimizer."""
        levels = {"optimizer": optimizer}
        mine = [c for c in self.known if c.optimizer == optimizer and workload in (None, c.workload)]
        if workload is not None:
            levels |= {GROUP: group_of(workload, optimizer), "architecture": workload, "data": data_of(workload)}
        # Lines that have nothing in common say nothing of another workload.
        apart = workload is None and not self.fitted.form.pooled
        fitted = self.line if apart and self.line is not None else self.fitted
        found = fitted.line(levels)
        a, b, c = (float(found.covariance[i, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
        kind: Kind = "log-linear" if fitted.form.slope else "constant"
        return BudgetModel(
            quantity=self.quantity,
            workload=workload,
            optimizer=optimizer,
            kind=kind,
            pooled=fitted.form.pooled,
            reason=self.reason,
            budgets=tuple(sorted({float(c.budget) for c in mine})),
            reference_budget=self.reference,
            workloads=len({c.workload for c in self.known}),
            intercept=float(found.mean[0]) + self.offset,
            slope=float(found.mean[1]),
            covariance=((a, b), (b, c)),
            within_sd=found.within,
            slope_interval=_slope_interval(self.line.line(levels)) if self.line else None,
            held_out=self.held_out,
        )


def group_of(workload: str, optimizer: str) -> str:
    """The level of a workload with an optimizer."""
    return f"{workload} with {optimizer}"


def data_of(workload: str) -> str:
    """The data set in a workload's label, such as digits in ``mlp/digits``; the label itself if it names none."""
    return workload.partition("(")[0].partition("/")[2] or workload


def gather(known: Sequence[CellDraws], quantity: Quantity) -> tuple[Cells, float, float]:
    """What cells say of a quantity; its middle, which is taken off; the reference budget."""
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
    seen = likelihoods([d - offset for d in draws], ranges)
    return Cells(log_budget - log_budget.mean(), levels, seen), offset, float(np.exp(log_budget.mean()))


def fit_trend(known: Sequence[CellDraws], quantity: Quantity, draws: int = 16) -> Trend:
    """Fit and choose between a constant, a line partially pooled over the groups, and a line a group.

    Args:
        known: At least one cell.
        quantity: Of what.
        draws: Of the standard deviations; see `hierarchy.fit`.

    Returns:
        The trend.
    """
    cells, offset, reference = gather(known, quantity)
    constant = fit(cells, Form(slope=False), draws=draws)
    plain = float(constant.held_out().sum())
    scores: dict[str, float | None] = {"constant": plain, "log-linear": None, "unpooled": None}
    trend = Trend(quantity, known, constant, offset, reference, "", scores, None)
    located = _located(known)
    most = max(len(budgets) for budgets in located.values())
    if most < MIN_BUDGETS_FOR_SLOPE:
        few = f"a slope needs {MIN_BUDGETS_FOR_SLOPE} budgets of a workload at which φ* is located; there are {most}"
        return replace(trend, reason=few)
    line = fit(cells, Form(slope=True), draws=draws)
    pointwise = line.held_out()
    pooled = float(pointwise.sum())
    trend = replace(trend, line=line, held_out=scores | {"log-linear": pooled})
    if len(located) > 1 and min(len(budgets) for budgets in located.values()) >= MIN_BUDGETS_FOR_SLOPE:
        alone = fit(cells, Form(slope=True, pooled=False), draws=draws)
        ahead = alone.held_out() - pointwise
        separate = pooled + float(ahead.sum())
        trend = replace(trend, held_out=trend.held_out | {"unpooled": separate})
        # Ahead by more than the difference's standard error (Vehtari, Gelman and Gabry 2017, eq. 24).
        if separate > plain and ahead.sum() > np.sqrt(len(ahead)) * ahead.std():
            reason = "a line for each workload alone predicts left-out cells better than common ones"
            return replace(trend, fitted=alone, reason=reason)
    if pooled <= plain:
        return replace(trend, reason="a slope does not predict left-out cells better than a constant")
    first = [cells.levels[GROUP].index(group) for group in located]
    slopes = [_slope_interval(line.line({f: levels[i] for f, levels in cells.levels.items()})) for i in first]
    if all(low <= 0 <= high for low, high in slopes):
        return replace(trend, reason="the slope's 90 % interval contains zero")
    return replace(trend, fitted=line, reason="a slope predicts left-out cells better than a constant")


def fit_models(known: Sequence[CellDraws], everyone: Sequence[tuple[str, str]]) -> tuple[BudgetModel, ...]:
    """For phi* and the mean LR at it: a line a workload and optimizer; the population's, if there are two workloads.

    Args:
        known: What the cells say.
        everyone: All workloads with their optimizers, also those of which no cell says anything.
    """
    models = []
    for quantity in QUANTITIES:
        trend = fit_trend(known, quantity) if known else None
        pairs = {(c.workload, c.optimizer) for c in known}
        for label, optimizer in sorted(set(everyone)):
            if trend is not None and (label, optimizer) in pairs:
                models.append(trend.model(optimizer, label))
            else:
                nothing = "no cell gives a φ* that could be fitted"
                models.append(BudgetModel(quantity, label, optimizer, "none", pooled=False, reason=nothing))
        for optimizer in sorted({c.optimizer for c in known}):
            if trend is not None and sum(o == optimizer for _, o in pairs) >= 2:
                models.append(trend.model(optimizer, None))
    return tuple(models)


def _located(known: Sequence[CellDraws]) -> dict[str, set[int]]:
    """The budgets of each group at which phi* was found or bounded."""
    found: dict[str, set[int]] = {c.group: set() for c in known}
    for c in known:
        if c.located:
            found[c.group].add(c.budget)
    return found


def _slope_interval(line: Line) -> tuple[float, float]:
    half = NORMAL_90 * float(np.sqrt(line.covariance[1, 1]))
    return float(line.mean[1]) - half, float(line.mean[1]) + half
