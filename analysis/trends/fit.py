"""phi* and the LR that goes with it against the budget, over all workloads together.

Each cell enters with all that its surface says: a wide interval weighs little, an optimum at the end of the range
searched is a bound. A slope is refused from fewer than four budgets, and claimed only when it predicts left-out cells
better than a constant and its interval leaves zero out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import NORMAL_90, BudgetModel, Kind, Quantity
from phitune.analysis.trends.cell_draws import CellDraws, Gathered, data_of, group_of
from phitune.analysis.trends.hierarchy import GROUP, Form, Hierarchy, Line, Round, fit

MIN_BUDGETS_FOR_SLOPE = 4
QUANTITIES: tuple[Quantity, ...] = ("phi", "mean_lr")


@dataclass(frozen=True)
class Trend:
    """A fitted trend of one quantity, ready to be asked for lines.

    Attributes:
        gathered: What it rests on.
        fitted: The chosen model.
        reason: Why this model.
        held_out: By name of the model; see `BudgetModel`.
        line: The log-linear model, whether or not it was chosen; None if refused.
        forms: All that were fitted.
    """

    gathered: Gathered
    fitted: Hierarchy
    reason: str
    held_out: dict[str, float | None]
    line: Hierarchy | None
    forms: tuple[Hierarchy, ...]

    def begun(self, rows: NDArray[np.bool_]) -> dict[Form, Round]:
        """The first rounds of a trend of some of the cells, by a mask (n,); see `hierarchy.fit`."""
        return {fitted.form: fitted.begun(rows) for fitted in self.forms}

    def model(self, optimizer: str, workload: str | None) -> BudgetModel:
        """The line of a workload, or of one not searched yet (None), with an optimizer."""
        levels = {"optimizer": optimizer}
        mine = [c for c in self.gathered.known if c.optimizer == optimizer and workload in (None, c.workload)]
        if workload is not None:
            levels |= {GROUP: group_of(workload, optimizer), "architecture": workload, "data": data_of(workload)}
        # Lines that have nothing in common say nothing of another workload.
        apart = workload is None and not self.fitted.form.pooled
        fitted = self.line if apart and self.line is not None else self.fitted
        found = fitted.line(levels)
        a, b, c = (float(found.covariance[i, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
        kind: Kind = "log-linear" if fitted.form.slope else "constant"
        return BudgetModel(
            quantity=self.gathered.quantity,
            workload=workload,
            optimizer=optimizer,
            kind=kind,
            pooled=fitted.form.pooled,
            reason=self.reason,
            budgets=tuple(sorted({float(c.budget) for c in mine})),
            reference_budget=self.gathered.reference,
            workloads=len({c.workload for c in self.gathered.known}),
            intercept=float(found.mean[0]) + self.gathered.offset,
            slope=float(found.mean[1]),
            covariance=((a, b), (b, c)),
            within_sd=found.within,
            slope_interval=_slope_interval(self.line.line(levels)) if self.line else None,
            held_out=self.held_out,
        )


def fit_trend(gathered: Gathered, draws: int = 16, begun: Mapping[Form, Round] | None = None) -> Trend:
    """Fit and choose between a constant, a line partially pooled over the groups, and a line a group.

    Args:
        gathered: What the cells say.
        draws: Of the standard deviations; see `hierarchy.fit`.
        begun: From `Trend.begun`.

    Returns:
        The trend.
    """
    cells, known = gathered.cells, gathered.known

    def fitted(form: Form) -> Hierarchy:
        return fit(cells, form, draws=draws, begun=begun.get(form) if begun else None)

    constant = fitted(Form(slope=False))
    plain = float(constant.held_out().sum())
    scores: dict[str, float | None] = {"constant": plain, "log-linear": None, "unpooled": None}
    trend = Trend(gathered, constant, "", scores, None, (constant,))
    located = _located(known)
    most = max(len(budgets) for budgets in located.values())
    if most < MIN_BUDGETS_FOR_SLOPE:
        few = f"a slope needs {MIN_BUDGETS_FOR_SLOPE} budgets of a workload at which φ* is located; there are {most}"
        return replace(trend, reason=few)
    line = fitted(Form(slope=True))
    pointwise = line.held_out()
    pooled = float(pointwise.sum())
    trend = replace(trend, line=line, held_out=scores | {"log-linear": pooled}, forms=(constant, line))
    if len(located) > 1 and min(len(budgets) for budgets in located.values()) >= MIN_BUDGETS_FOR_SLOPE:
        alone = fitted(Form(slope=True, pooled=False))
        ahead = alone.held_out() - pointwise
        separate = pooled + float(ahead.sum())
        trend = replace(trend, held_out=trend.held_out | {"unpooled": separate}, forms=(constant, line, alone))
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


def fit_models(
    known: Sequence[CellDraws], trends: Sequence[Trend], everyone: Sequence[tuple[str, str]]
) -> tuple[BudgetModel, ...]:
    """For phi* and the mean LR at it: a line a workload and optimizer; the population's, if there are two workloads.

    Args:
        known: What the cells say.
        trends: Of `QUANTITIES`, in their order; none where no cell says anything.
        everyone: All workloads with their optimizers, also those of which no cell says anything.
    """
    models = []
    pairs = {(c.workload, c.optimizer) for c in known}
    for i, quantity in enumerate(QUANTITIES):
        trend = trends[i] if trends else None
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
