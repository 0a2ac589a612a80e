"""Cells' draws with known lines of log phi* on log budget."""

import math

import numpy as np

from phitune.analysis.trends.cell_draws import CellDraws

RANGE = (math.log(0.05), math.log(50.0))
BUDGETS = (50, 100, 200, 400, 800)
SD = 0.1


def cell(budget: int, log_phi: float, sd: float, workload: str = "w", optimizer: str = "sgd") -> CellDraws:
    """A cell whose draws of log phi* are N(log_phi, sd^2), cut at the range searched; those of the LR are the same."""
    draws = log_phi + sd * np.random.default_rng(budget).standard_normal(400)
    return CellDraws(workload, optimizer, budget, True, RANGE, np.clip(draws, *RANGE), draws)


def study(
    slope: float, seed: int, budgets: tuple[int, ...] = BUDGETS, workloads: int = 1, sd: float = SD
) -> tuple[list[CellDraws], np.ndarray]:
    """Cells with a known slope and known intercepts at 200 iterations; returns the cells and the intercepts."""
    rng = np.random.default_rng(seed)
    intercepts = math.log(2.0) + 0.8 * rng.standard_normal(workloads)
    cells = []
    for i, intercept in enumerate(intercepts):
        for budget in budgets:
            truth = intercept + slope * math.log(budget / 200.0)
            cells.append(cell(budget, truth + sd * rng.standard_normal(), sd, f"w{i}"))
    return cells, intercepts
