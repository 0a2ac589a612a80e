"""The cells' recommendations, phi* against budget, and how well that predicts left-out cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from joblib import Parallel, cpu_count, delayed
from threadpoolctl import threadpool_limits

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.families.compare import compare_cell
from phitune.analysis.families.comparisons import Comparisons, compare
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.equal import SHARE, equal_differences
from phitune.analysis.guidelines.recommendation import recommend_for_cell
from phitune.analysis.results.table import CELL, CellKey
from phitune.analysis.surface import CellFit, CellSurface, fit_cell
from phitune.analysis.trends import QUANTITIES, cell_draws, curvature, fit_models, fit_trend, trend_data, validation

# With fewer cells than this, another process takes longer to start than it saves.
CELLS_A_PROCESS = 40


@dataclass(frozen=True)
class Guidelines:
    """Everything `analyze` concludes.

    Attributes:
        cells: One for each cell, by workload, optimizer, budget.
        models: phi* and the mean LR that goes with it against budget: a line for each workload and optimizer, and the
            population's (workload None) where there are two workloads.
        validation: What the recommendations cost where they were not fitted; see `trends.validation`.
        curvature: Whether curvature predicts phi* of a workload left out, by predictor; see `trends.curvature`.
        comparisons: Families against each other across cells: ranks, scores, tuning curves, budget saved.
        provenance: Study, tracking URI, counts, versions, date.
        surfaces: The fitted surfaces, in the cells' order (not in the JSON).
    """

    cells: tuple[CellGuideline, ...]
    models: tuple[BudgetModel, ...]
    validation: dict[str, Any]
    curvature: dict[str, Any]
    comparisons: Comparisons
    provenance: dict[str, Any]
    surfaces: tuple[CellSurface, ...]


def build(
    table: pd.DataFrame,
    provenance: Mapping[str, Any] | None = None,
    phi_range: tuple[float, float] | None = None,
    seed: int = 0,
    equal: float = SHARE,
) -> Guidelines:
    """Fit every cell and put the cells together.

    Args:
        table: The results table.
        provenance: Where the results come from, for the record.
        phi_range: Range of phi searched; by default the range that each cell's trials cover.
        seed: Of posterior draws and bootstraps.
        equal: Share of the budget whose worth counts as nothing.

    Returns:
        The guidelines.
    """
    # The matrices are small: threads of the BLAS cost more than they save, ten times as much on a busy machine.
    with threadpool_limits(1, "blas"):
        return _build(table, provenance, phi_range, seed, equal)


def _build(
    table: pd.DataFrame,
    provenance: Mapping[str, Any] | None,
    phi_range: tuple[float, float] | None,
    seed: int,
    equal: float,
) -> Guidelines:
    # A repeated row is not evidence twice.
    table = table.drop_duplicates(["study", "trial_id"], keep="last")
    groups = [cell for _, cell in table.groupby(CELL, sort=True)]
    pool = Parallel(n_jobs=min(len(groups) // CELLS_A_PROCESS + 1, cpu_count()))
    keys: list[CellKey] = [
        (str(g["workload"].iloc[0]), str(g["optimizer"].iloc[0]), int(g["budget"].iloc[0])) for g in groups
    ]
    fits = dict(zip(keys, pool(delayed(_fit)(cell, phi_range, seed) for cell in groups), strict=True))
    equals = equal_differences(fits, equal)
    fits = {key: fit.judged(equals[key].delta) for key, fit in fits.items()}
    by_key = {key: compare_cell(cell, fits[key]) for key, cell in zip(keys, groups, strict=True)}
    cells = tuple(
        recommend_for_cell(cell, fits[key], by_key[key], equals[key]) for key, cell in zip(keys, groups, strict=True)
    )
    surfaces = tuple(fit.uba for fit in fits.values())
    draws = cell_draws(keys, surfaces)
    data = [trend_data(draws, quantity) for quantity in QUANTITIES] if draws else []
    trends = pool(delayed(fit_trend)(each) for each in data)
    models = fit_models(draws, trends, [(c.label, c.optimizer) for c in cells])
    sloped = any(m.quantity == "phi" and m.kind == "log-linear" for m in models)
    folds = validation.folds(keys, surfaces, trends)
    comparing = delayed(compare)(table, by_key, seed)
    compared, *predictions = pool([comparing, *(delayed(validation.predict)(fold) for fold in folds)])
    predicted = list(zip(folds, predictions, strict=True))
    return Guidelines(
        cells=cells,
        models=models,
        validation=validation.score(dict(zip(keys, surfaces, strict=True)), by_key, predicted),
        curvature=curvature.held_out_gains(draws, curvature.log_curvatures(table), sloped),
        comparisons=compared,
        provenance=dict(provenance or {}),
        surfaces=surfaces,
    )


def _fit(cell: pd.DataFrame, phi_range: tuple[float, float] | None, seed: int) -> CellFit:
    # In a process of its own too.
    with threadpool_limits(1, "blas"):
        return fit_cell(cell, phi_range, seed)
