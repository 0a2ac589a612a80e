"""The cells' recommendations, the best values of parameters against budget, and how well that predicts other cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
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
from phitune.analysis.guidelines.searched_family import SearchedFamily, searched_families
from phitune.analysis.results.table import CELL, CellKey
from phitune.analysis.surface import CellFit, CellSurface, fit_cells
from phitune.analysis.trends import curvature, fit_models, fit_trend, validation

# With fewer cells than this, another process takes longer to start than it saves.
CELLS_A_PROCESS = 40


@dataclass(frozen=True)
class Guidelines:
    """Everything `analyze` concludes.

    Attributes:
        cells: One for each cell, by workload, optimizer, budget.
        models: Each searched parameter's best value and the mean LR that goes with it against budget: a line for each
            workload and optimizer, and the population's (workload None) where there are two workloads. First the main
            family's: the one recommended in most cells.
        validation: What the main family's recommendations cost where they were not fitted, and as `others` by family
            what those of the others cost; see `trends.validation`.
        curvature: Whether curvature predicts the main family's best value in a workload left out, by predictor; see
            `trends.curvature`.
        comparisons: Families against each other across cells: ranks, scores, tuning curves, budget saved.
        provenance: Study, tracking URI, counts, versions, date.
        surfaces: The fitted surfaces by family and parameter, in the cells' order (not in the JSON).
    """

    cells: tuple[CellGuideline, ...]
    models: tuple[BudgetModel, ...]
    validation: dict[str, Any]
    curvature: dict[str, Any]
    comparisons: Comparisons
    provenance: dict[str, Any]
    surfaces: tuple[Mapping[tuple[str, str], CellSurface], ...]

    @property
    def main(self) -> tuple[str, str] | None:
        """The main family and its first searched parameter; None where none was searched."""
        return (self.models[0].family, self.models[0].quantity) if self.models else None


def build(
    table: pd.DataFrame,
    provenance: Mapping[str, Any] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 0,
    equal: float = SHARE,
) -> Guidelines:
    """Fit every cell and put the cells together.

    Args:
        table: The results table.
        provenance: Where the results come from, for the record.
        ranges: The ranges searched, by parameter or by `label.parameter`; by default those of each cell's trials.
        seed: Of posterior draws and bootstraps.
        equal: Share of the budget whose worth counts as nothing.

    Returns:
        The guidelines.
    """
    # The matrices are small: threads of the BLAS cost more than they save, ten times as much on a busy machine.
    with threadpool_limits(1, "blas"):
        return _build(table, provenance, ranges, seed, equal)


def _build(
    table: pd.DataFrame,
    provenance: Mapping[str, Any] | None,
    ranges: Mapping[str, tuple[float, float]] | None,
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
    together = [[groups[keys.index(key)] for key in each] for _, each in groupby(keys, key=lambda key: key[:2])]
    fitted_cells = pool(delayed(_fit)(cells, ranges, seed) for cells in together)
    fits = dict(zip(keys, chain.from_iterable(fitted_cells), strict=True))
    equals = equal_differences(fits, equal)
    fits = {key: fit.judged(equals[key].delta) for key, fit in fits.items()}
    by_key = {key: compare_cell(cell, fits[key]) for key, cell in zip(keys, groups, strict=True)}
    cells = tuple(
        recommend_for_cell(cell, fits[key], by_key[key], equals[key]) for key, cell in zip(keys, groups, strict=True)
    )
    searched = searched_families(fits, cells)
    data = [each.trend_data for each in searched]
    fitted = iter(pool(delayed(fit_trend)(each) for own in data for each in own))
    trends = [[next(fitted) for _ in own] for own in data]
    models = [
        fit_models(each.family, each.quantities, each.draws[0], own, [key[:2] for key in each.surfaces])
        for each, own in zip(searched, trends, strict=True)
    ]
    folds = [
        validation.folds(list(each.surfaces), list(each.first.values()), own)
        for each, own in zip(searched, trends, strict=True)
    ]
    comparing = delayed(compare)(table, by_key, seed)
    compared, *predictions = pool([comparing, *(delayed(validation.predict)(fold) for each in folds for fold in each)])
    predicted = iter(predictions)
    scores = [
        validation.score(each.surfaces, by_key, [(fold, next(predicted)) for fold in own])
        for each, own in zip(searched, folds, strict=True)
    ]
    return Guidelines(
        cells=cells,
        models=tuple(model for each in models for model in each),
        validation=validation.joined([each.family for each in searched], scores),
        curvature=_curvature(searched, models, table),
        comparisons=compared,
        provenance=dict(provenance or {}),
        surfaces=tuple(fit.surfaces for fit in fits.values()),
    )


def _curvature(
    searched: Sequence[SearchedFamily], models: Sequence[Sequence[BudgetModel]], table: pd.DataFrame
) -> dict[str, Any]:
    if not searched:
        return {}
    main = searched[0]
    sloped = any(m.quantity == main.parameters[0] and m.kind == "log-linear" for m in models[0])
    return curvature.held_out_gains(main.draws[0], main.parameters[0], curvature.log_curvatures(table), sloped)


def _fit(cells: Sequence[pd.DataFrame], ranges: Mapping[str, tuple[float, float]] | None, seed: int) -> list[CellFit]:
    # In a process of its own too.
    with threadpool_limits(1, "blas"):
        return fit_cells(cells, ranges, seed)
