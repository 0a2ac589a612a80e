"""One cell's guideline from its belief and its comparison of families."""

import json
import math
from typing import Any

import pandas as pd

from phitune.analysis.families.compare import Comparison
from phitune.analysis.guidelines.cell_guideline import CellGuideline, ShapeGuideline
from phitune.analysis.guidelines.equal import Equal
from phitune.analysis.guidelines.family_choice import choose_family
from phitune.analysis.results.table import STATUSES
from phitune.analysis.surface import CellFit
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
    chosen, surface, uba = choice.family, fit.uba, comparison.get("uba")
    metric = chosen.metric if chosen else math.nan
    return CellGuideline(
        **_facts(cell),
        family=chosen.family if chosen else None,
        family_verdict=choice.verdict,
        lead_over_uba=choice.lead,
        phi=surface.phi,
        phi_interval=surface.phi_interval,
        no_effect=surface.no_effect if surface.phi is not None else None,
        phi_near=surface.phi_near,
        phi_range=(float(surface.grid[0]), float(surface.grid[-1])) if len(surface.grid) else None,
        delta=equal.delta,
        delta_relative=fit.scale.relative,
        delta_budget=equal.budget_share,
        uba_schedule=json.loads(uba.schedule) if uba and surface.phi is not None else None,
        uba_base_lr=surface.base_lr,
        uba_base_lr_interval=surface.base_lr_interval,
        base_lr=chosen.base_lr if chosen else None,
        base_lr_interval=chosen.base_lr_interval if chosen else None,
        base_lr_at_limit=surface.base_lr_at_limit,
        schedule=json.loads(chosen.schedule) if chosen else None,
        verdict=surface.verdict if (cell["family"] == "uba").any() else "absent",
        expected_metric=metric if math.isfinite(metric) else None,
        expected_objective=chosen.objective if chosen else None,
        expected_interval=chosen.objective_interval if chosen else None,
        gains=dict(chosen.gains) if chosen else {},
        families=comparison.families,
        shapes=tuple(ShapeGuideline.of(other) for family, other in fit.surfaces.items() if family != "uba"),
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
