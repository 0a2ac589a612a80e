"""One cell's guideline from its surface and its comparison of families."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from phitune.analysis.families.compare import Comparison
from phitune.analysis.guidelines.cell_guideline import CellGuideline, ShapeGuideline
from phitune.analysis.guidelines.family_choice import choose_family
from phitune.analysis.results.table import STATUSES
from phitune.analysis.surface import COSINE_PHI, CellSurface
from phitune.trainables.spec import Spec


def recommend_for_cell(
    cell: pd.DataFrame, surface: CellSurface, comparison: Comparison, others: Sequence[CellSurface]
) -> CellGuideline:
    """The guideline of one cell.

    Args:
        cell: Rows of the results table, one cell.
        surface: UBA's surface.
        comparison: The cell's families.
        others: Surfaces of other families' shape parameters.
    """
    choice = choose_family(cell, surface, comparison)
    chosen = choice.family
    # Where phi* is unclear, what was replicated is worth more than the middle of the interval.
    is_uba = chosen is not None and chosen.family == "uba" and surface.verdict not in ("thin", "unclear")
    uba = comparison.get("uba")
    at_phi = {**json.loads(uba.schedule), "phi": surface.phi} if uba and surface.phi is not None else None
    schedule: dict[str, Any] | None = None
    if is_uba and at_phi is not None:
        schedule = at_phi
    elif chosen is not None:
        schedule = json.loads(chosen.schedule)
    metric = chosen.metric if chosen else math.nan
    if is_uba and surface.phi is not None and surface.base_lr is not None:
        metric = _metric_near(cell, surface.phi, surface.base_lr)
    return CellGuideline(
        **_facts(cell),
        family=chosen.family if chosen else None,
        family_verdict=choice.verdict,
        lead_over_uba=choice.lead,
        phi=surface.phi,
        phi_interval=surface.phi_interval,
        phi_bootstrap_interval=surface.bootstrap_interval,
        phi_opinions_differ=surface.second_opinion_differs,
        no_effect=surface.no_effect if surface.phi is not None else None,
        phi_near=surface.phi_near,
        phi_range=(float(surface.grid[0]), float(surface.grid[-1])) if len(surface.grid) else None,
        delta=surface.delta,
        uba_schedule=at_phi,
        uba_base_lr=surface.base_lr,
        uba_base_lr_interval=surface.base_lr_interval,
        base_lr=surface.base_lr if is_uba else chosen.base_lr if chosen else None,
        base_lr_interval=surface.base_lr_interval if is_uba else chosen.base_lr_interval if chosen else None,
        base_lr_at_limit=surface.base_lr_at_limit,
        schedule=schedule,
        verdict=surface.verdict if (cell["family"] == "uba").any() else "absent",
        expected_metric=metric if math.isfinite(metric) else None,
        expected_objective=surface.expected if is_uba else chosen.objective if chosen else None,
        gains=dict(chosen.gains) if chosen else {},
        phi_gain=_phi_gain(surface),
        families=comparison.families,
        comparison_evidence=comparison.evidence,
        shapes=tuple(ShapeGuideline.of(other) for other in others),
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


def _phi_gain(surface: CellSurface) -> tuple[float, float, float] | None:
    """Gain of phi* over phi = 2 in per cent of the objective at phi = 2: (median, 5 %, 95 %)."""
    if surface.cosine_excess is None:
        return None
    median, low, high = (100.0 * -math.expm1(-value) for value in surface.cosine_excess)
    return median, low, high


def _metric_near(cell: pd.DataFrame, phi: float, base_lr: float, neighbours: int = 3) -> float:
    """Mean validation metric of the completed UBA or cosine trials nearest to (phi, base LR) in log units."""
    status, family = (cell[c].to_numpy(dtype=object, na_value="") for c in ("status", "family"))
    rows = (status == "completed") & ((family == "uba") | (family == "cosine"))
    phis, lrs, metrics = (
        cell[c].to_numpy(dtype=np.float64, na_value=np.nan)[rows] for c in ("phi", "base_lr", "val_metric")
    )
    at = np.where(family[rows] == "uba", phis, COSINE_PHI)
    distance = np.hypot(np.log(at / phi), 2.0 * np.log(lrs / base_lr))
    metric = metrics[np.argsort(distance, kind="stable")[:neighbours]]
    metric = metric[np.isfinite(metric)]
    return float(metric.mean()) if metric.size else math.nan
