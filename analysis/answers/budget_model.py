"""A line on log budget of a parameter's log best value, or of the log mean LR: an entry of `models` in guidelines.json.

`analysis.trends.fit` fits it. This module needs no NumPy, so that `recommend` starts quickly.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["log-linear", "constant", "none"]
MEAN_LR = "mean_lr"
SlopeVerdict = Literal[
    "no cell", "few budgets", "no better than constant", "interval contains zero", "separate slopes", "slope"
]

NORMAL_90 = 1.6448536269514722


@dataclass(frozen=True)
class BudgetModel:
    """log quantity = intercept + slope * log(T / reference_budget), with its uncertainty.

    Attributes:
        quantity: The name of the family's searched parameter, such as "phi", for its best value; "mean_lr" for the mean
            LR that goes with it (base LR × mean of the profile).
        workload: Label of the workload; None for the population: what to expect of a workload never searched.
        optimizer: Name of the optimizer.
        kind: "log-linear", "constant" (slope 0), or "none" (no cell to fit).
        pooled: Whether the line leans on the other workloads' cells.
        verdict: Why this kind; None in a file that has the reason alone.
        located_budgets: The most budgets of one workload and optimizer at which the best value is located.
        reason: The verdict in plain words; written into guidelines.json, empty before that.
        budgets: Budgets searched, in iterations, ascending.
        reference_budget: In iterations.
        workloads: Number of workloads that the model rests on.
        intercept: Log quantity at the reference budget.
        slope: Power of T; 0 for a constant.
        covariance: Of (intercept, slope); for the population it includes the spread between workloads.
        within_sd: Standard deviation of a cell's log quantity about the line.
        slope_interval: 90 % interval of the slope of the log-linear fit, even if it was not chosen; None if not fitted.
        held_out: Sum of log densities of the cells, each predicted from the others, under "constant", "log-linear" and
            "unpooled" (a line for each workload and optimizer alone); None where not fitted.
        family: Label of the family whose parameter it is; UBA in a file that does not say.
        parameter: Of the mean LR, the parameter at whose best value it is; else the quantity.
    """

    quantity: str
    workload: str | None
    optimizer: str | None
    kind: Kind
    pooled: bool
    verdict: SlopeVerdict | None = None
    located_budgets: int = 0
    reason: str = ""
    budgets: tuple[float, ...] = ()
    reference_budget: float = 1.0
    workloads: int = 0
    intercept: float | None = None
    slope: float = 0.0
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    within_sd: float = 0.0
    slope_interval: tuple[float, float] | None = None
    held_out: dict[str, float | None] | None = None
    family: str = "uba"
    parameter: str = "phi"

    def predict(self, budget: float) -> tuple[float, float]:
        """Log quantity to expect in a cell of this budget (iterations) and its standard deviation.

        NaN and infinity if the kind is "none".
        """
        if self.intercept is None:
            return math.nan, math.inf
        t = math.log(budget / self.reference_budget)
        (a, b), (_, c) = self.covariance
        return self.intercept + self.slope * t, math.sqrt(a + 2.0 * b * t + c * t * t + self.within_sd**2)

    def interval(self, budget: float) -> tuple[float, float]:
        """90 % predictive interval of the quantity in a cell of this budget (iterations)."""
        mean, sd = self.predict(budget)
        return math.exp(mean - NORMAL_90 * sd), math.exp(mean + NORMAL_90 * sd)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BudgetModel":
        """From `to_dict`, also after JSON; unknown keys are ignored."""
        known = {k: values[k] for k in cls.__dataclass_fields__ if k in values}
        return cls(**{k: _tuples(v) for k, v in known.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
