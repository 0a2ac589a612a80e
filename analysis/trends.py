"""phi* against the budget, and how well it is predicted in cells that were left out."""

import math
from typing import Any

import numpy as np

from analysis.budget_model import NORMAL_90, BudgetModel, fit_budget_model
from analysis.cell_guideline import CellGuideline
from analysis.cell_surface import CellSurface
from analysis.shapes import COSINE_PHI


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
