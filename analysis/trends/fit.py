"""A parameter's best value and the LR that goes with it against the budget, over all workloads together.

Each cell enters with its whole posterior: a wide interval weighs little, an optimum at the end of the range searched is
a bound. A slope is refused from fewer than four budgets, and claimed only when it predicts left-out cells better than a
constant and its interval excludes zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import MEAN_LR, NORMAL_90, BudgetModel, Kind, SlopeVerdict
from phitune.analysis.trends.cell_draws import CellDraws, TrendData, data_of, group_of
from phitune.analysis.trends.hierarchy import Hierarchy, Line, WarmStart, fit
from phitune.analysis.trends.observations import GROUP, Form

MIN_BUDGETS_FOR_SLOPE = 4


@dataclass(frozen=True)
class Trend:
    """A fitted trend of one quantity.

    Attributes:
        data: What it was fitted to.
        chosen: The chosen model.
        verdict: Why that model.
        located_budgets: The most budgets of one workload and optimizer at which the best value is located.
        held_out: Predictive densities by name of the model; see `BudgetModel`.
        sloped: The log-linear model, whether or not it was chosen; None if refused.
        fits: All models that were fitted.
    """

    data: TrendData
    chosen: Hierarchy
    verdict: SlopeVerdict
    located_budgets: int
    held_out: dict[str, float | None]
    sloped: Hierarchy | None
    fits: tuple[Hierarchy, ...]

    def warm_starts(self, rows: NDArray[np.bool_]) -> dict[Form, WarmStart]:
        """Warm starts for refitting the subset of the cells that a mask (n,) selects."""
        return {each.form: each.warm_start.take(rows) for each in self.fits}

    def model(self, optimizer: str, workload: str | None) -> BudgetModel:
        """The line of a workload, or of a workload not searched yet (None), with an optimizer."""
        levels = {"optimizer": optimizer}
        cells = [c for c in self.data.cells if c.optimizer == optimizer and workload in (None, c.workload)]
        if workload is not None:
            levels |= {GROUP: group_of(workload, optimizer), "architecture": workload, "data": data_of(workload)}
        # Separate lines have nothing in common, so they predict nothing of another workload.
        separate = workload is None and not self.chosen.form.pooled
        model = self.sloped if separate and self.sloped is not None else self.chosen
        line = model.line(levels)
        a, b, c = (float(line.covariance[i, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
        kind: Kind = "log-linear" if model.form.slope else "constant"
        return BudgetModel(
            quantity=self.data.quantity,
            workload=workload,
            optimizer=optimizer,
            kind=kind,
            pooled=model.form.pooled,
            verdict=self.verdict,
            located_budgets=self.located_budgets,
            budgets=tuple(sorted({float(c.budget) for c in cells})),
            reference_budget=self.data.reference,
            workloads=len({c.workload for c in self.data.cells}),
            intercept=float(line.mean[0]) + self.data.offset,
            slope=float(line.mean[1]),
            covariance=((a, b), (b, c)),
            within_sd=line.within,
            slope_interval=_slope_interval(self.sloped.line(levels)) if self.sloped else None,
            held_out=self.held_out,
        )


def fit_trend(data: TrendData, draws: int = 16, warm_starts: Mapping[Form, WarmStart] | None = None) -> Trend:
    """Fit and choose between a constant, a line partially pooled over the groups, and a separate line for each group.

    Args:
        data: The cells.
        draws: Of the standard deviations; see `hierarchy.fit`.
        warm_starts: From `Trend.warm_starts`.

    Returns:
        The trend.
    """
    starts = warm_starts or {}

    def fitted(form: Form) -> Hierarchy:
        return fit(data.observations, form, draws=draws, warm_start=starts.get(form))

    constant = fitted(Form(slope=False))
    constant_score = float(constant.held_out().sum())
    scores: dict[str, float | None] = {"constant": constant_score, "log-linear": None, "unpooled": None}
    located = _located_budgets(data.cells)
    most = max(len(budgets) for budgets in located.values())
    trend = Trend(data, constant, "few budgets", most, scores, None, (constant,))
    if most < MIN_BUDGETS_FOR_SLOPE:
        return trend
    line = fitted(Form(slope=True))
    pointwise = line.held_out()
    line_score = float(pointwise.sum())
    trend = replace(trend, sloped=line, held_out=scores | {"log-linear": line_score}, fits=(constant, line))
    if len(located) > 1 and min(len(budgets) for budgets in located.values()) >= MIN_BUDGETS_FOR_SLOPE:
        separate = fitted(Form(slope=True, pooled=False))
        ahead = separate.held_out() - pointwise
        separate_score = line_score + float(ahead.sum())
        trend = replace(trend, held_out=trend.held_out | {"unpooled": separate_score}, fits=(constant, line, separate))
        # Ahead by more than the difference's standard error (Vehtari, Gelman and Gabry 2017, eq. 24).
        if separate_score > constant_score and ahead.sum() > np.sqrt(len(ahead)) * ahead.std():
            return replace(trend, chosen=separate, verdict="separate slopes")
    if line_score <= constant_score:
        return replace(trend, verdict="no better than constant")
    levels = data.observations.levels
    first = [levels[GROUP].index(group) for group in located]
    slopes = [_slope_interval(line.line({f: each[i] for f, each in levels.items()})) for i in first]
    if all(low <= 0 <= high for low, high in slopes):
        return replace(trend, verdict="interval contains zero")
    return replace(trend, chosen=line, verdict="slope")


def fit_models(
    family: str,
    quantities: Sequence[str],
    cells: Sequence[CellDraws],
    trends: Sequence[Trend],
    pairs: Sequence[tuple[str, str]],
) -> tuple[BudgetModel, ...]:
    """A line for each workload and optimizer and for each quantity; with two workloads, the population's too.

    Args:
        family: Label of the family.
        quantities: Its searched parameters, and the mean LR at their best values.
        cells: The cells with draws.
        trends: Of the quantities, in their order; empty where no cell has draws.
        pairs: All workloads with their optimizers that searched it, also those without draws.
    """
    models = []
    fitted = {(c.workload, c.optimizer) for c in cells}
    for i, quantity in enumerate(quantities):
        trend = trends[i] if trends else None
        for label, optimizer in sorted(set(pairs)):
            if trend is not None and (label, optimizer) in fitted:
                models.append(trend.model(optimizer, label))
            else:
                models.append(BudgetModel(quantity, label, optimizer, "none", pooled=False, verdict="no cell"))
        for optimizer in sorted({c.optimizer for c in cells}):
            if trend is not None and sum(o == optimizer for _, o in fitted) >= 2:
                models.append(trend.model(optimizer, None))
    return tuple(
        replace(m, family=family, parameter=quantities[0] if m.quantity == MEAN_LR else m.quantity) for m in models
    )


def _located_budgets(cells: Sequence[CellDraws]) -> dict[str, set[int]]:
    """The budgets of each group at which the best value is located or bounded."""
    budgets: dict[str, set[int]] = {c.group: set() for c in cells}
    for c in cells:
        if c.located:
            budgets[c.group].add(c.budget)
    return budgets


def _slope_interval(line: Line) -> tuple[float, float]:
    half = NORMAL_90 * float(np.sqrt(line.covariance[1, 1]))
    return float(line.mean[1]) - half, float(line.mean[1]) + half
