"""phi* against the budget: constant or a power of T, fitted with each cell's own uncertainty.

A slope is refused from fewer than four budgets, and claimed only when it predicts left-out budgets better than a
constant and its interval leaves zero out. NumPy alone, so that `recommend` can read a model without loading anything
heavy.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["log-linear", "constant", "none"]

MIN_BUDGETS_FOR_SLOPE = 4
MIN_SD = 0.05
NORMAL_90 = 1.6448536269514722


@dataclass(frozen=True)
class BudgetModel:
    """log phi* = intercept + slope * log(T / reference_budget) for one workload and optimizer, or pooled over several.

    Attributes:
        workload: Label of the workload; None for the pooled model.
        optimizer: Name of the optimizer; None for the pooled model.
        kind: "log-linear", "constant" (slope 0), or "none" (no cell to fit).
        reason: In plain words why this kind.
        budgets: Budgets fitted, in iterations, ascending.
        reference_budget: Geometric mean of the budgets fitted (pooled: 1, and T counts in fractions of the full
            budget).
        intercept: log phi* at the reference budget (pooled: mean over groups).
        intercept_interval: Its 90 % interval.
        slope: Power of T; 0 for a constant.
        slope_interval: 90 % interval of the slope of the log-linear fit, also when it was not chosen; None if refused.
        between_sd: Standard deviation of log phi* between cells beyond their own uncertainty.
        loo_constant: Root of the weighted mean squared error of left-out budgets under the constant; None if refused.
        loo_log_linear: The same under the log-linear model.
    """

    workload: str | None
    optimizer: str | None
    kind: Kind
    reason: str
    budgets: tuple[float, ...]
    reference_budget: float
    intercept: float | None = None
    intercept_interval: tuple[float, float] | None = None
    slope: float = 0.0
    slope_interval: tuple[float, float] | None = None
    between_sd: float | None = None
    loo_constant: float | None = None
    loo_log_linear: float | None = None

    def log_phi(self, budget: float) -> float:
        """Predicted log phi* at a budget (pooled: at a fraction of the full budget); NaN if the kind is "none"."""
        if self.intercept is None:
            return float("nan")
        return float(self.intercept + self.slope * np.log(budget / self.reference_budget))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BudgetModel":
        """From `to_dict`; unknown keys are ignored."""
        known = {k: values[k] for k in cls.__dataclass_fields__ if k in values}
        pairs = {k: tuple(v) for k, v in known.items() if isinstance(v, list)}
        return cls(**{**known, **pairs})


def fit_budget_model(
    budgets: Array,
    log_phi: Array,
    sd: Array,
    groups: list[str] | None = None,
    workload: str | None = None,
    optimizer: str | None = None,
) -> BudgetModel:
    """Fit constant and log-linear models and choose.

    Args:
        budgets: In iterations (pooled: fractions of the full budget), shape (n,).
        log_phi: log phi* of each cell, shape (n,).
        sd: Its standard deviation, shape (n,).
        groups: One label a cell for a pooled fit with an intercept a group; None for one intercept.
        workload: For the record.
        optimizer: For the record.

    Returns:
        The chosen model.
    """
    n = len(budgets)
    names = sorted(set(groups)) if groups else [""]
    if n == 0:
        return BudgetModel(workload, optimizer, "none", "no cell gives a phi* that could be fitted", (), 1.0)
    reference = 1.0 if groups else float(np.exp(np.mean(np.log(budgets))))
    t = np.log(budgets / reference)
    member = np.array([[g == name for name in names] for g in groups or [""] * n], dtype=np.float64)
    variance = np.maximum(sd, MIN_SD) ** 2
    flat_fit = _fit(member, log_phi, variance)
    distinct = tuple(float(b) for b in np.unique(budgets))
    middle = float(np.mean(flat_fit.coefficients))
    half = NORMAL_90 * float(np.sqrt(np.mean(np.diag(flat_fit.covariance)) / len(names)))
    constant = BudgetModel(
        workload,
        optimizer,
        "constant",
        "",
        distinct,
        reference,
        intercept=middle,
        intercept_interval=(middle - half, middle + half),
        between_sd=float(np.sqrt(flat_fit.between)),
    )
    if len(distinct) < MIN_BUDGETS_FOR_SLOPE or n < len(names) + 3:
        few = f"{len(distinct)} budget(s) with a usable phi*; a slope needs {MIN_BUDGETS_FOR_SLOPE}"
        return replace(constant, reason=few)
    full = np.hstack([member, t[:, None]])
    line_fit = _fit(full, log_phi, variance)
    slope, slope_sd = float(line_fit.coefficients[-1]), float(np.sqrt(line_fit.covariance[-1, -1]))
    quantile = _student_95(n - full.shape[1])
    interval = (slope - quantile * slope_sd, slope + quantile * slope_sd)
    scores = [_left_out(basis, budgets, log_phi, variance, variance + line_fit.between) for basis in (member, full)]
    constant = replace(constant, slope_interval=interval, loo_constant=scores[0], loo_log_linear=scores[1])
    if scores[1] >= scores[0]:
        return replace(constant, reason="a slope does not predict left-out budgets better than a constant")
    if interval[0] <= 0 <= interval[1]:
        return replace(constant, reason="the slope's 90 % interval contains zero")
    middle = float(np.mean(line_fit.coefficients[:-1]))
    half = quantile * float(np.sqrt(np.mean(np.diag(line_fit.covariance)[:-1]) / len(names)))
    return replace(
        constant,
        kind="log-linear",
        slope=slope,
        intercept=middle,
        intercept_interval=(middle - half, middle + half),
        between_sd=float(np.sqrt(line_fit.between)),
        reason="a slope predicts left-out budgets better than a constant",
    )


@dataclass(frozen=True)
class _Fit:
    coefficients: Array
    covariance: Array
    between: float


def _fit(basis: Array, target: Array, variance: Array) -> _Fit:
    """Weighted least squares with a between-cell variance by Paule and Mandel's moment equation."""

    def solve(between: float) -> tuple[Array, Array, float]:
        weight = 1.0 / (variance + between)
        covariance = np.asarray(np.linalg.pinv((basis * weight[:, None]).T @ basis), dtype=np.float64)
        coefficients = covariance @ (basis.T @ (weight * target))
        return coefficients, covariance, float(weight @ (target - basis @ coefficients) ** 2)

    freedom = len(target) - basis.shape[1]
    low, high = 0.0, 0.0
    if freedom > 0 and solve(0.0)[2] > freedom:
        high = 100.0
        for _ in range(60):
            between = 0.5 * (low + high)
            low, high = (between, high) if solve(between)[2] > freedom else (low, between)
    coefficients, covariance, _ = solve(high)
    return _Fit(coefficients, covariance, high)


def _left_out(basis: Array, budgets: Array, target: Array, variance: Array, spread: Array) -> float:
    """Root of the weighted mean squared error when each budget is left out in turn."""
    errors = np.empty(len(target))
    for budget in np.unique(budgets):
        out = budgets == budget
        errors[out] = target[out] - basis[out] @ _fit(basis[~out], target[~out], variance[~out]).coefficients
    weight = 1.0 / spread
    return float(np.sqrt(weight @ errors**2 / weight.sum()))


def _student_95(freedom: int) -> float:
    """95 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), 0.95))
