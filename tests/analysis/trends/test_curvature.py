"""Curvature as a predictor of phi*: it helps where it decides, and is refused from few workloads."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.trends.cell_draws import CellDraws
from phitune.analysis.trends.curvature import held_out_gains, log_curvatures
from tests.analysis.trends.synthetic_draws import BUDGETS, cell

LOG_KAPPAS = np.linspace(-1.5, 1.5, 8)


def cells(log_kappas: np.ndarray, effect: float) -> list[CellDraws]:
    rng = np.random.default_rng(0)
    return [
        cell(b, 0.5 * np.log(b / 200) + effect * log_kappa + 0.1 * rng.standard_normal(), 0.1, f"w{i}")
        for i, log_kappa in enumerate(log_kappas)
        for b in BUDGETS
    ]


def curvatures(log_kappas: np.ndarray) -> Mapping[str, Mapping[str, float]]:
    return {f"w{i}": {"kappa": float(log_kappa)} for i, log_kappa in enumerate(log_kappas)}


def test_curvature_helps_where_it_decides() -> None:
    result = held_out_gains(cells(LOG_KAPPAS, 1.0), "phi", curvatures(LOG_KAPPAS), slope=True)["kappa"]
    assert result["helps"] and result["gain"] > 5.0 and result["workloads"] == 8


def test_curvature_of_the_wrong_workloads_does_not_help() -> None:
    shuffled = curvatures(LOG_KAPPAS[[3, 6, 1, 4, 7, 0, 5, 2]])
    assert not held_out_gains(cells(LOG_KAPPAS, 1.0), "phi", shuffled, slope=True)["kappa"]["helps"]


def test_a_gain_within_its_standard_error_is_no_help() -> None:
    """Ahead by 0.1, by chance."""
    weak = curvatures(np.random.default_rng(9).standard_normal(8))
    result = held_out_gains(cells(LOG_KAPPAS, 0.0), "phi", weak, slope=True)["kappa"]
    assert result["gain"] > 0.0 and not result["helps"]


def test_three_workloads_are_too_few() -> None:
    result = held_out_gains(cells(LOG_KAPPAS[:3], 1.0), "phi", curvatures(LOG_KAPPAS), slope=True)["kappa"]
    assert result["gain"] is None and result["workloads"] == 3


def test_curvature_is_read_off_the_results() -> None:
    rows = pd.DataFrame({"workload": ["a", "a", "b"], "hessian_max": [8.0, 12.0, 5.0], "hessian_min": [1.0, 3.0, -0.1]})
    logs = log_curvatures(rows)
    assert logs["a"]["lambda_max"] == pytest.approx(np.log(10.0)) and logs["a"]["kappa"] == pytest.approx(np.log(5.0))
    assert "kappa" not in logs["b"]
    assert log_curvatures(rows[["workload"]]) == {}
