"""What the cells say together: each one's recommendation, phi* against budget, and how well that predicts."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.answers.numbers import percent
from phitune.analysis.families.compare import Comparison, FamilyResult, compare_cell, difference
from phitune.analysis.families.comparisons import Comparisons, compare
from phitune.analysis.guidelines.cell_guideline import CellGuideline, ShapeGuideline
from phitune.analysis.report.words.gains import comparison_basis, no_evidence
from phitune.analysis.report.words.refusals import comparisons_dict
from phitune.analysis.results.table import CELL
from phitune.analysis.surface.cell_surface import CellSurface
from phitune.analysis.surface.fit import fit_surface
from phitune.analysis.surface.shapes import COSINE_PHI, Shape
from phitune.analysis.trends import curvature, validation
from phitune.analysis.trends.cell_draws import cell_draws, gather
from phitune.analysis.trends.fit import QUANTITIES, fit_models, fit_trend
from phitune.trainables.spec import Spec

FORMAT = 1
# Fewer are analysed here before another process has even started.
CELLS_A_PROCESS = 40


@dataclass(frozen=True)
class Guidelines:
    """Everything `analyze` concludes.

    Attributes:
        cells: One a cell, by workload, optimizer, budget.
        models: phi* and the mean LR that goes with it against budget: a line a workload and optimizer, and the
            population's (workload None) where there are two workloads.
        validation: What the recommendations cost where they were not fitted; see `analysis.trends.validation`.
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

    def to_json(self) -> str:
        """Strict JSON: no NaN, no infinity (null stands for them)."""
        values = {
            "format": FORMAT,
            "cells": [asdict(c) for c in self.cells],
            "models": [m.to_dict() for m in self.models],
            "validation": self.validation,
            "curvature": self.curvature,
            "comparisons": comparisons_dict(self.comparisons),
            "provenance": self.provenance,
        }
        return json.dumps(_strict(values), indent=1, allow_nan=False, ensure_ascii=False)


def build(
    table: pd.DataFrame,
    provenance: Mapping[str, Any] | None = None,
    phi_range: tuple[float, float] | None = None,
    seed: int = 0,
) -> Guidelines:
    """Fit every cell and put the cells together.

    Args:
        table: The results table.
        provenance: What to write down about where it came from.
        phi_range: Range of phi searched; by default what each cell's trials cover.
        seed: Of posterior draws and bootstraps.

    Returns:
        The guidelines.
    """
    # A row that stands there twice is not evidence twice.
    table = table.drop_duplicates(["study", "trial_id"], keep="last")
    groups = [cell for _, cell in table.groupby(CELL, sort=True)]
    jobs = min(len(groups) // CELLS_A_PROCESS + 1, cpu_count())
    pool = Parallel(n_jobs=jobs)
    parts = pool(delayed(_analyse)(cell, phi_range, seed) for cell in groups)
    cells, surfaces, comparisons = zip(*parts, strict=True) if parts else ((), (), ())
    keys = [(c.label, c.optimizer, c.budget) for c in cells]
    known = cell_draws(cells, surfaces)
    gathered = [gather(known, quantity) for quantity in QUANTITIES] if known else []
    trends = pool(delayed(fit_trend)(each) for each in gathered)
    models = fit_models(known, trends, [(c.label, c.optimizer) for c in cells])
    sloped = any(m.quantity == "phi" and m.kind == "log-linear" for m in models)
    left_out = validation.folds(cells, surfaces, trends)
    comparing = delayed(compare)(table, dict(zip(keys, comparisons, strict=True)), seed)
    compared, *predicted = pool([comparing, *(delayed(validation.predicted)(fold) for fold in left_out)])
    return Guidelines(
        cells=cells,
        models=models,
        validation=validation.scored(cells, surfaces, list(zip(left_out, predicted, strict=True))),
        curvature=curvature.tried(known, curvature.measured(table), sloped),
        comparisons=compared,
        provenance=dict(provenance or {}),
        surfaces=surfaces,
    )


def _analyse(
    cell: pd.DataFrame, phi_range: tuple[float, float] | None, seed: int
) -> tuple[CellGuideline, CellSurface, Comparison]:
    surface = fit_surface(cell, phi_range, seed=seed)
    comparison = compare_cell(cell, surface.delta, seed)
    labels = sorted(set(cell["family"]) - {"uba"})
    shapes = {label: Shape.of(cell, label) for label in labels}
    others = [
        fit_surface(cell, phi_range if shape.parameter == "phi" else None, seed=seed, family=label)
        for label, shape in shapes.items()
        if shape is not None
    ]
    return _guideline(cell, surface, comparison, others), surface, comparison


def _guideline(
    cell: pd.DataFrame, surface: CellSurface, comparison: Comparison, others: list[CellSurface]
) -> CellGuideline:
    first = cell.iloc[0]
    spec = Spec.parse(str(first["workload"]))
    phase, status = (cell[c].to_numpy(dtype=object, na_value="") for c in ("phase", "status"))
    explored = status[phase == "explore"]
    chosen, reason = _choose_family(cell, surface, comparison)
    # Where phi* is unclear, what was replicated is worth more than the middle of the interval.
    is_uba = chosen is not None and chosen.family == "uba" and surface.verdict not in ("thin", "unclear")
    gains = dict(chosen.gains) if chosen else {}
    base_lr = surface.base_lr if is_uba else chosen.base_lr if chosen else None
    interval = surface.base_lr_interval if is_uba else chosen.base_lr_interval if chosen else None
    recommended: dict[str, Any] | None = None
    uba = comparison.get("uba")
    at_phi = {**json.loads(uba.schedule), "phi": surface.phi} if uba and surface.phi is not None else None
    if is_uba and at_phi is not None:
        recommended = at_phi
    elif chosen is not None:
        recommended = json.loads(chosen.schedule)
    metric = chosen.metric if chosen else math.nan
    if is_uba and surface.phi is not None and surface.base_lr is not None:
        metric = _metric_near(cell, surface.phi, surface.base_lr)
    full = first["full_budget"]
    return CellGuideline(
        workload=spec.entry,
        label=str(first["workload"]),
        optimizer=str(first["optimizer"]),
        budget=int(first["budget"]),
        full_budget=None if pd.isna(full) else int(full),
        family=chosen.family if chosen else None,
        family_reason=reason,
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
        base_lr=base_lr,
        base_lr_interval=interval,
        base_lr_at_limit=surface.base_lr_at_limit,
        schedule=recommended,
        verdict=surface.verdict if (cell["family"] == "uba").any() else "absent",
        metric_name=None if pd.isna(first["metric_name"]) else str(first["metric_name"]),
        expected_metric=metric if math.isfinite(metric) else None,
        objective=str(first["objective_name"]),
        expected_objective=surface.expected if is_uba else chosen.objective if chosen else None,
        trials=len(explored),
        completed=int((explored == "completed").sum()),
        stopped=int((explored == "stopped").sum()),
        diverged=int((explored == "diverged").sum()),
        failed=int((explored == "failed").sum()),
        replicates=int(((phase == "replicate") & (status == "completed")).sum()),
        gains=gains,
        phi_gain=_phi_gain(surface),
        families=comparison.families,
        comparison_evidence=comparison.evidence,
        shapes=tuple(ShapeGuideline.of(other) for other in others),
    )


def _choose_family(cell: pd.DataFrame, surface: CellSurface, comparison: Comparison) -> tuple[FamilyResult | None, str]:
    """The family with the best mean, but UBA unless the other is better by more than the paired uncertainty.

    Where UBA's phi is unclear, simply the best mean.
    """
    if not comparison.families:
        return None, "no trial completed"
    best, uba = comparison.families[0], comparison.get("uba")
    if uba is None:
        why = "UBA's best trial diverged on a fresh seed" if "uba" in comparison.set_aside else "UBA has none completed"
        return best, f"{best.family} is the best of the families compared; {why}"
    if best.family == "uba":
        return uba, f"UBA has the best mean ({comparison_basis(comparison)})"
    if surface.verdict == "unclear":
        return best, f"{best.family} has the best mean ({comparison_basis(comparison)}), and UBA's φ is unclear"
    ahead = difference(cell, best, uba)
    if ahead.certain and ahead.percent > 0:
        basis = "no seed noise" if ahead.evidence == "exact" else f"{ahead.n} fresh seeds, paired"
        return best, f"{best.family} beats UBA by {percent(ahead.percent)} % ({basis})"
    if surface.phi is None and comparison.evidence == "explore":
        return best, f"{best.family} has the best single run; too little evidence to tell it from UBA"
    doubt = f" ({no_evidence(ahead)})" if ahead.interval is None else ", which is within the uncertainty"
    return uba, f"UBA; {best.family} is ahead by {percent(ahead.percent)} %{doubt}"


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
    tried, lrs, metrics = (
        cell[c].to_numpy(dtype=np.float64, na_value=np.nan)[rows] for c in ("phi", "base_lr", "val_metric")
    )
    at = np.where(family[rows] == "uba", tried, COSINE_PHI)
    distance = np.hypot(np.log(at / phi), 2.0 * np.log(lrs / base_lr))
    metric = metrics[np.argsort(distance, kind="stable")[:neighbours]]
    metric = metric[np.isfinite(metric)]
    return float(metric.mean()) if metric.size else math.nan


def _strict(value: Any) -> Any:
    """The value with NaN and infinities as None and NumPy scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
