"""A slope is claimed when it is there, refused when it is not or cannot be known."""

import numpy as np
import pytest

from analysis.budget_model import BudgetModel, fit_budget_model

SD = 0.1


def _measured(budgets: np.ndarray, slope: float, seed: int) -> np.ndarray:
    return (
        np.log(2.0) + slope * np.log(budgets / 100.0) + SD * np.random.default_rng(seed).standard_normal(len(budgets))
    )


def test_a_power_law_is_found_with_its_exponent() -> None:
    budgets = np.array([50.0, 100, 200, 400, 800])
    model = fit_budget_model(budgets, _measured(budgets, 0.9, 0), np.full(5, SD))
    assert model.kind == "log-linear"
    assert model.slope_interval is not None and model.slope_interval[0] < 0.9 < model.slope_interval[1]
    assert model.log_phi(1600) == pytest.approx(np.log(2) + 0.9 * np.log(16), abs=0.6)


def test_no_slope_from_three_budgets_however_clear() -> None:
    budgets = np.array([50.0, 200, 800])
    model = fit_budget_model(budgets, _measured(budgets, 1.0, 0), np.full(3, SD))
    assert model.kind == "constant" and model.slope == 0.0 and model.slope_interval is None


def test_a_constant_is_rarely_mistaken_for_a_slope() -> None:
    budgets = np.array([50.0, 100, 200, 400, 800])
    kinds = [fit_budget_model(budgets, _measured(budgets, 0.0, s), np.full(5, SD)).kind for s in range(100)]
    assert kinds.count("log-linear") <= 12


def test_a_slopes_interval_covers_it() -> None:
    budgets = np.array([50.0, 100, 200, 400, 800])
    hits = 0
    for seed in range(200):
        interval = fit_budget_model(budgets, _measured(budgets, 0.5, seed), np.full(5, SD)).slope_interval
        hits += interval is not None and interval[0] < 0.5 < interval[1]
    assert hits >= 170


def test_cells_weigh_by_their_intervals() -> None:
    model = fit_budget_model(np.array([100.0, 200.0]), np.array([0.0, 1.0]), np.array([0.1, 10.0]))
    assert model.intercept == pytest.approx(0.0, abs=0.05)


def test_pooled_slope_has_an_intercept_for_each_workload() -> None:
    budgets = np.array([0.1, 0.25, 0.5, 1.0] * 2)
    log_phi = 0.7 * np.log(budgets) + np.array([0.0] * 4 + [3.0] * 4)
    model = fit_budget_model(budgets, log_phi, np.full(8, SD), groups=["a"] * 4 + ["b"] * 4)
    assert model.kind == "log-linear" and model.slope == pytest.approx(0.7, abs=1e-6)


def test_nothing_to_fit_is_said() -> None:
    model = fit_budget_model(np.empty(0), np.empty(0), np.empty(0))
    assert model.kind == "none" and np.isnan(model.log_phi(100))


def test_it_survives_json() -> None:
    budgets = np.array([50.0, 100, 200, 400])
    model = fit_budget_model(budgets, _measured(budgets, 0.9, 1), np.full(4, SD), workload="w", optimizer="sgd")
    assert BudgetModel.from_dict(model.to_dict()).log_phi(300) == pytest.approx(model.log_phi(300))
