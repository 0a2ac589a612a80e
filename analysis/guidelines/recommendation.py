"""One cell's guideline from its belief and its comparison of families."""

import json
import math
from typing import Any

import pandas as pd

from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.families.compare import Comparison
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.equal import Equal
from phitune.analysis.guidelines.family_choice import choose_family
from phitune.analysis.results.table import STATUSES
from phitune.analysis.surface import CellFit, CellSurface, PossibleRegret
from phitune.trainables.spec import Spec


def recommend_for_cell(cell: pd.DataFrame, fit: CellFit, comparison: Comparison, equal: Equal) -> CellGuideline:
    """The guideline of one cell.

    Args:
        cell: Rows of the results table, one cell.
        fit: What they say, with verdicts.
        comparison: The cell's families.
        equal: What counts as equal there.
    """
    choice = choose_family(comparison, equal.delta)
    chosen = choice.family
    metric = chosen.metric if chosen else math.nan
    regret = None
    if chosen and fit.optimum:
        regret = PossibleRegret.of(fit.bests[chosen.family].fitted, fit.optimum, fit.scale, equal.delta)
    return CellGuideline(
        **_facts(cell),
        family=chosen.family if chosen else None,
        family_verdict=choice.verdict,
        lead_over_uba=choice.lead,
        delta=equal.delta,
        delta_relative=fit.scale.relative,
        delta_budget=equal.budget_share,
        base_lr=chosen.base_lr if chosen else None,
        base_lr_interval=chosen.base_lr_interval if chosen else None,
        schedule=json.loads(chosen.schedule) if chosen else None,
        expected_metric=metric if math.isfinite(metric) else None,
        expected_objective=chosen.objective if chosen else None,
        expected_interval=chosen.objective_interval if chosen else None,
        gains=dict(chosen.gains) if chosen else {},
        possible_regret=regret,
        families=comparison.families,
        shapes=_shapes(fit, comparison),
        mixed=tuple(sorted(fit.mixed)),
    )


def _shapes(fit: CellFit, comparison: Comparison) -> tuple[ShapeGuideline, ...]:
    """What is said of each searched parameter, the best family first."""
    order = [result.family for result in comparison.families]
    return tuple(
        _shape_guideline(surface, comparison)
        for _, surface in sorted(
            fit.surfaces.items(), key=lambda item: order.index(item[0][0]) if item[0][0] in order else len(order)
        )
    )


def _shape_guideline(surface: CellSurface, comparison: Comparison) -> ShapeGuideline:
    shape = surface.shape
    assert shape is not None
    result = comparison.get(shape.family)
    thin = surface.phi is None
    return ShapeGuideline(
        family=shape.family,
        parameter=shape.parameter,
        searched=(shape.low, shape.high),
        verdict=surface.verdict,
        best=surface.phi,
        interval=surface.phi_interval,
        near=surface.phi_near,
        no_effect=None if thin else surface.no_effect,
        base_lr=surface.base_lr,
        base_lr_interval=surface.base_lr_interval,
        base_lr_at_limit=surface.base_lr_at_limit,
        base_lr_lowest=surface.base_lr_lowest,
        schedule=None if thin or result is None else json.loads(result.schedule),
    )


def _facts(cell: pd.DataFrame) -> dict[str, Any]:
    """The fields that say what was searched and how its trials ended."""
    first = cell.iloc[0]
    phase, status = (cell[c].to_numpy(dtype=object, na_value="") for c in ("phase", "status"))
    explored = status[phase == "explore"]
    full = first["full_budget"]
    return {
        "workload": Spec.parse(str(first["workload"])).entry,
        "label": str(first["workload"]),
        "optimizer": str(first["optimizer"]),
        "budget": int(first["budget"]),
        "full_budget": None if pd.isna(full) else int(full),
        "metric_name": None if pd.isna(first["metric_name"]) else str(first["metric_name"]),
        "objective": str(first["objective_name"]),
        "trials": len(explored),
        **{each: int((explored == each).sum()) for each in STATUSES},
        "replicates": int(((phase == "replicate") & (status == "completed")).sum()),
    }
