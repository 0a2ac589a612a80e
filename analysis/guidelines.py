"""What the cells say together: each one's recommendation, phi* against budget, and how well that predicts."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.budget_model import NORMAL_90, BudgetModel, fit_budget_model
from analysis.compare import Comparison, FamilyResult, Gain, average_ranks, compare_cell, difference
from analysis.outcomes import COSINE_PHI
from analysis.surface import CellSurface, fit_surface
from trainables.spec import Spec

FORMAT = 1


@dataclass(frozen=True)
class CellGuideline:
    """The answer for one cell; the fields of a `cells` entry in guidelines.json.

    Attributes:
        workload: As in a study file: a name, or a mapping with `name` and parameters.
        label: The workload as one string.
        optimizer: Its name.
        budget: In iterations.
        full_budget: The workload's full budget in iterations; None if unknown.
        family: The recommended family: UBA at phi*, unless another is better by more than the paired uncertainty.
        family_reason: Why that family, in plain words.
        phi: UBA's phi*, whatever the recommended family; None when the evidence is thin.
        phi_interval: Its 90 % interval.
        phi_near: Range of phi whose quality is within `delta` of the best.
        delta: What counted as equal, a relative difference of the objective (of the error, for an accuracy).
        uba_schedule: UBA at `phi`, with the study's warmup, floor and sampling; None when the evidence is thin.
        uba_base_lr: The base LR that belongs to `phi`.
        uba_base_lr_interval: Its 90 % interval.
        phi_range: The range of phi that was searched; None when thin.
        base_lr: Base LR of the recommended family.
        base_lr_interval: UBA: 90 % interval. Others: LRs of trials that came within `delta` of the best; None if
            unknown.
        base_lr_at_limit: Whether UBA's base LR is as high as was tried.
        schedule: The recommended schedule, as `trainables.schedules.from_dict` reads it; None if nothing completed.
        verdict: ok, flat, boundary, unclear or thin (see `analysis.surface`); absent if UBA was not searched.
        metric_name: The workload's metric.
        expected_metric: Validation metric to expect; None if unknown.
        objective: Name of what was optimised, val_loss or val_metric.
        expected_objective: Its value to expect.
        trials, completed, stopped, diverged, failed: Explore trials by how they ended.
        replicates: Completed replicates.
        gains: Gain of the recommended family over cosine and linear, in per cent of the objective.
        phi_gain: Gain of phi* over phi = 2 on UBA's fitted surface, per cent: (median, 5 %, 95 %); None when thin.
        families: All families compared, best first.
        comparison_evidence: replicates, exact, or explore (biased).
    """

    workload: str | dict[str, Any]
    label: str
    optimizer: str
    budget: int
    full_budget: int | None
    family: str | None
    family_reason: str
    phi: float | None
    phi_interval: tuple[float, float] | None
    phi_near: tuple[float, float] | None
    phi_range: tuple[float, float] | None
    delta: float
    uba_schedule: dict[str, Any] | None
    uba_base_lr: float | None
    uba_base_lr_interval: tuple[float, float] | None
    base_lr: float | None
    base_lr_interval: tuple[float, float] | None
    base_lr_at_limit: bool
    schedule: dict[str, Any] | None
    verdict: str
    metric_name: str | None
    expected_metric: float | None
    objective: str
    expected_objective: float | None
    trials: int
    completed: int
    stopped: int
    diverged: int
    failed: int
    replicates: int
    gains: dict[str, Gain]
    phi_gain: tuple[float, float, float] | None
    families: tuple[FamilyResult, ...]
    comparison_evidence: str


@dataclass(frozen=True)
class Guidelines:
    """Everything `analyze` concludes.

    Attributes:
        cells: One a cell, by workload, optimizer, budget.
        models: phi* against budget, one a workload and optimizer; then the pooled one (workload None), if there is one.
        validation: Regret of predicted phi where it was not fitted; see `validate`.
        ranks: Average rank of each family over cells that have all families.
        provenance: Study, tracking URI, counts, versions, date.
        surfaces: The fitted surfaces, in the cells' order (not in the JSON).
    """

    cells: tuple[CellGuideline, ...]
    models: tuple[BudgetModel, ...]
    validation: dict[str, Any]
    ranks: dict[str, float]
    provenance: dict[str, Any]
    surfaces: tuple[CellSurface, ...]

    def to_json(self) -> str:
        """Strict JSON: no NaN, no infinity (null stands for them)."""
        values = {
            "format": FORMAT,
            "cells": [asdict(c) for c in self.cells],
            "models": [m.to_dict() for m in self.models],
            "validation": self.validation,
            "ranks": self.ranks,
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
    keys = ["workload", "optimizer", "budget"]
    groups = [cell for _, cell in table.groupby(keys, sort=True)]
    surfaces = tuple(fit_surface(cell, phi_range, seed=seed) for cell in groups)
    comparisons = [compare_cell(cell, s.delta, seed) for cell, s in zip(groups, surfaces, strict=True)]
    cells = tuple(_guideline(*parts) for parts in zip(groups, surfaces, comparisons, strict=True))
    return Guidelines(
        cells=cells,
        models=fit_models(cells),
        validation=validate(cells, surfaces),
        ranks=average_ranks(comparisons),
        provenance=dict(provenance or {}),
        surfaces=surfaces,
    )


def _guideline(cell: pd.DataFrame, surface: CellSurface, comparison: Comparison) -> CellGuideline:
    first = cell.iloc[0]
    spec = Spec.parse(str(first["workload"]))
    explore, replicate = cell[cell["phase"] == "explore"], cell[cell["phase"] == "replicate"]
    counts = explore["status"].value_counts()
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
        trials=len(explore),
        completed=int(counts.get("completed", 0)),
        stopped=int(counts.get("stopped", 0)),
        diverged=int(counts.get("diverged", 0)),
        failed=int(counts.get("failed", 0)),
        replicates=int((replicate["status"] == "completed").sum()),
        gains=gains,
        phi_gain=_phi_gain(surface),
        families=comparison.families,
        comparison_evidence=comparison.evidence,
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
        return uba, f"UBA has the best mean ({_evidence(comparison)})"
    if surface.verdict == "unclear":
        return best, f"{best.family} has the best mean ({_evidence(comparison)}), and UBA's φ is unclear"
    ahead = difference(cell, best, uba)
    if ahead.certain and ahead.percent > 0:
        return best, f"{best.family} beats UBA by {ahead.percent:.2g} % ({_evidence(comparison)})"
    if surface.phi is None and comparison.evidence == "explore":
        return best, f"{best.family} has the best single run; too little evidence to tell it from UBA"
    return uba, f"UBA; {best.family} is ahead by {ahead.percent:.2g} %, which is within the uncertainty"


def _evidence(comparison: Comparison) -> str:
    return {
        "replicates": "fresh seeds, paired",
        "exact": "no seed noise",
        "explore": "single explore runs: biased",
    }[comparison.evidence]


def _phi_gain(surface: CellSurface) -> tuple[float, float, float] | None:
    """Gain of phi* over phi = 2 in per cent of the objective at phi = 2: (median, 5 %, 95 %)."""
    if surface.cosine_excess is None:
        return None
    median, low, high = (100.0 * -math.expm1(-value) for value in surface.cosine_excess)
    return median, low, high


def _metric_near(cell: pd.DataFrame, phi: float, base_lr: float, neighbours: int = 3) -> float:
    """Mean validation metric of the completed UBA or cosine trials nearest to (phi, base LR) in log units."""
    rows = cell[(cell["status"] == "completed") & cell["family"].isin(["uba", "cosine"])]
    at = rows["phi"].where(rows["family"] == "uba", COSINE_PHI).to_numpy(dtype=np.float64)
    distance = np.hypot(np.log(at / phi), 2.0 * np.log(rows["base_lr"].to_numpy(dtype=np.float64) / base_lr))
    metric = rows["val_metric"].to_numpy(dtype=np.float64)[np.argsort(distance, kind="stable")[:neighbours]]
    metric = metric[np.isfinite(metric)]
    return float(metric.mean()) if metric.size else math.nan


def fit_models(cells: tuple[CellGuideline, ...]) -> tuple[BudgetModel, ...]:
    """phi* against budget for each workload and optimizer, and pooled with an intercept each if there are several.

    Only cells with the verdict "ok" carry a phi* that is a measurement: a flat cell has none, at a boundary it is a
    bound.
    """
    groups = sorted({(c.label, c.optimizer) for c in cells})
    models = []
    for label, optimizer in groups:
        usable = [c for c in cells if (c.label, c.optimizer) == (label, optimizer) and c.verdict == "ok"]
        models.append(_fit(usable, label, optimizer))
    pooled = [c for c in cells if c.verdict == "ok" and c.full_budget]
    names = [f"{c.label} {c.optimizer}" for c in pooled]
    if len(set(names)) >= 2:
        fractions = np.array([c.budget / (c.full_budget or 1) for c in pooled])
        log_phi, sd = _log_phi(pooled)
        models.append(fit_budget_model(fractions, log_phi, sd, groups=names))
    return tuple(models)


def _fit(usable: list[CellGuideline], label: str, optimizer: str) -> BudgetModel:
    budgets = np.array([c.budget for c in usable], dtype=np.float64)
    log_phi, sd = _log_phi(usable)
    return fit_budget_model(budgets, log_phi, sd, workload=label, optimizer=optimizer)


def _log_phi(cells: list[CellGuideline]) -> tuple[np.ndarray, np.ndarray]:
    """log phi* and its standard deviation, from the 90 % interval."""
    log_phi = np.array([math.log(c.phi) for c in cells if c.phi is not None], dtype=np.float64)
    widths = [math.log(c.phi_interval[1] / c.phi_interval[0]) for c in cells if c.phi_interval is not None]
    return log_phi, np.array(widths, dtype=np.float64) / (2.0 * NORMAL_90)


def validate(cells: tuple[CellGuideline, ...], surfaces: tuple[CellSurface, ...]) -> dict[str, Any]:
    """Regret of predicted phi in cells it was not fitted on, in per cent of the objective, read off their profiles.

    `leave_largest_budget_out`: for each workload and optimizer with at least three cells on which phi matters or not
    but is known, the largest budget's phi is predicted from the smaller ones. `leave_workload_out`: from the other
    workloads' cells at the nearest fraction of the full budget. Each row holds the predicted phi and the regret of it
    and of cosine (phi = 2); the cell's own best has regret 0.
    """
    known = [(c, s) for c, s in zip(cells, surfaces, strict=True) if c.phi is not None]
    largest, left_out = [], []
    for label, optimizer in sorted({(c.label, c.optimizer) for c, _ in known}):
        group = [(c, s) for c, s in known if (c.label, c.optimizer) == (label, optimizer)]
        if len(group) >= 3:
            target, surface = group[-1]
            smaller = [c for c, _ in group[:-1] if c.verdict == "ok"]
            model = _fit(smaller, label, optimizer)
            log_phi = model.log_phi(target.budget) if model.kind == "log-linear" else math.log(group[-2][0].phi or 1.0)
            largest.append(_regret(target, surface, math.exp(log_phi)))
        others = [c for c, _ in known if c.label != label and c.optimizer == optimizer and c.full_budget]
        for target, surface in group if others and all(c.full_budget for c, _ in group) else []:
            left_out.append(_regret(target, surface, _from_others(target, others)))
    return {
        "leave_largest_budget_out": _summary(largest),
        "leave_workload_out": _summary(left_out),
    }


def _from_others(target: CellGuideline, others: list[CellGuideline]) -> float:
    """Geometric mean of the other workloads' phi*, each at the fraction of its full budget nearest to the target's."""

    def fraction(cell: CellGuideline) -> float:
        return math.log(cell.budget / (cell.full_budget or cell.budget))

    picks = []
    for label in sorted({c.label for c in others}):
        near = min((c for c in others if c.label == label), key=lambda c: abs(fraction(c) - fraction(target)))
        picks.append(math.log(near.phi or 1.0))
    return math.exp(sum(picks) / len(picks))


def _regret(cell: CellGuideline, surface: CellSurface, phi: float) -> dict[str, Any]:
    low, high = float(surface.grid[0]), float(surface.grid[-1])
    phi = min(max(phi, low), high)
    return {
        "workload": cell.label,
        "optimizer": cell.optimizer,
        "budget": cell.budget,
        "predicted_phi": phi,
        "own_phi": cell.phi,
        "regret_percent": 100.0 * math.expm1(surface.excess_at(phi)),
        "cosine_regret_percent": 100.0 * math.expm1(surface.excess_at(min(max(COSINE_PHI, low), high))),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    if not rows:
        return {"n": 0, "rows": [], "note": "not enough cells"}
    return {
        "n": len(rows),
        "median_regret_percent": float(np.median([r["regret_percent"] for r in rows])),
        "median_cosine_regret_percent": float(np.median([r["cosine_regret_percent"] for r in rows])),
        "rows": rows,
    }


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
