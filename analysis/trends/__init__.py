"""A parameter's best value and its LR against the budget, over all workloads; validated where they were not fitted."""

from phitune.analysis.trends.cell_draws import CellDraws, TrendData, cell_draws, trend_data
from phitune.analysis.trends.fit import MIN_BUDGETS_FOR_SLOPE, Trend, fit_models, fit_trend

__all__ = [
    "MIN_BUDGETS_FOR_SLOPE",
    "CellDraws",
    "Trend",
    "TrendData",
    "cell_draws",
    "fit_models",
    "fit_trend",
    "trend_data",
]
