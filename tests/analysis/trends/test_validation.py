"""Regrets of left-out cells against the exact loss; what is said when the guideline beats nothing; curvature."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.trends import warning_lines
from phitune.analysis.trends import curvature
from phitune.analysis.trends.cell_draws import CellDraws
from phitune.analysis.trends.validation import LeftOut, summary
from tests.analysis.made_study import PHI_RANGE, Recipe, table
from tests.analysis.quadratic_twin import expected_loss
from tests.analysis.trends.test_trends import BUDGETS, cell

WORKLOADS = {f"quadratic(kappa={kappa:g},noise=1)": kappa for kappa in (30.0, 100.0)}


@pytest.fixture(scope="module")
def found() -> Guidelines:
    """Two quadratics that are alike, at five budgets; what seeds do to them is small."""
    recipes = [Recipe(k, 1.0, budget, stop=False, noise=0.001) for k in WORKLOADS.values() for budget in BUDGETS]
    return build(pd.concat([table(recipe) for recipe in recipes]), None, PHI_RANGE)


@pytest.mark.parametrize(("way", "cells"), [("leave_workload_out", 10), ("leave_largest_budget_out", 2)])
def test_regret_is_the_exact_loss_at_what_was_recommended(found: Guidelines, way: str, cells: int) -> None:
    rows = found.validation[way]["rows"]
    assert len(rows) == cells
    scored = 0
    for row in rows:
        if row["regret"] is None or row["regret"] > 30.0:
            continue
        at = (WORKLOADS[row["workload"]], 1.0, row["budget"])
        phi, lr = np.array([row["phi"], row["own_phi"]]), np.array([row["base_lr"], row["own_base_lr"]])
        recommended, own = expected_loss(*at, phi, lr)
        [told] = [c for c in found.cells if (c.label, c.budget) == (row["workload"], row["budget"])]
        oracle = min(own, *(family.objective for family in told.families))
        assert row["regret"] == pytest.approx(100.0 * (recommended / oracle - 1.0), abs=2.0)
        scored += 1
    assert scored >= cells / 2


def test_a_trend_predicts_the_largest_budget(found: Guidelines) -> None:
    told = found.validation["leave_largest_budget_out"]
    assert told["regret"]["worst"] < 5.0
    assert told["regret"]["mean"] < told["constant_phi"]["mean"]


def _row(workload: str, regret: float | None, constant: float) -> LeftOut:
    return LeftOut(workload, "sgd", 100, 1.0, 0.1, 1.0, 0.1, regret, constant, {"cosine": 3.0})


def test_a_guideline_that_beats_nothing_is_told_in_the_first_line(found: Guidelines) -> None:
    rows = [_row("a", 5.0, 1.0), _row("a", 4.0, 2.0), _row("b", 6.0, 2.0)]
    worse = replace(found, validation={"leave_workload_out": summary(rows)})
    [line] = warning_lines(worse)
    assert line in headlines(worse)[0] and "does worse than φ = 2" in line and "-3.5 %" in line
    better = [_row(r.workload, r.constant_phi, r.regret or 0.0) for r in rows]
    assert warning_lines(replace(found, validation={"leave_workload_out": summary(better)})) == []


def test_one_workload_tells_nothing_of_the_next_and_that_is_said(found: Guidelines) -> None:
    told = summary([_row("a", 1.0, 9.0), _row("a", 1.0, 9.5), _row("b", None, 3.0)])
    assert told["gain_over_constant"] is None
    [line] = warning_lines(replace(found, validation={"leave_workload_out": told}))
    assert line.startswith("Workload left out") and "cannot be told" in line


@pytest.mark.parametrize("runs", [pytest.param(300, id="quick"), pytest.param(4000, id="long", marks=pytest.mark.slow)])
@pytest.mark.parametrize("workloads", [2, 3, 5])
def test_the_gains_interval_holds_the_mean_over_workloads(workloads: int, runs: int) -> None:
    """Workloads differ by as much as cells within them."""
    rng = np.random.default_rng(workloads)
    held = []
    for _ in range(runs):
        own = rng.standard_normal(workloads)
        gains = [(f"w{i}", 2.0 + own[i] + rng.standard_normal()) for i in range(workloads) for _ in range(4)]
        told = summary([_row(name, 0.0, gain) for name, gain in gains])["gain_over_constant"]
        held.append(told["low"] <= 2.0 <= told["high"])
    # Four standard errors of the share.
    assert np.mean(held) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / runs))


def test_what_cannot_be_scored_is_counted() -> None:
    told = summary([_row("a", None, 1.0), _row("a", 2.0, 2.5), _row("b", 4.0, 3.5)])
    assert (told["n"], told["too_high_lr"], told["regret"]["n"]) == (3, 1, 2)
    assert told["regret"]["median"] == 3.0 and told["gain_over_constant"]["mean"] == 0.0


def _known(log_kappas: np.ndarray, effect: float) -> list[CellDraws]:
    rng = np.random.default_rng(0)
    return [
        cell(b, 0.5 * np.log(b / 200) + effect * log_kappa + 0.1 * rng.standard_normal(), 0.1, f"w{i}")
        for i, log_kappa in enumerate(log_kappas)
        for b in BUDGETS
    ]


def test_curvature_helps_where_it_decides_and_is_refused_from_few_workloads() -> None:
    log_kappas = np.linspace(-1.5, 1.5, 8)
    predictors = {f"w{i}": {"kappa": float(k)} for i, k in enumerate(log_kappas)}
    told = curvature.tried(_known(log_kappas, 1.0), predictors, slope=True)["kappa"]
    assert told["helps"] and told["gain"] > 5.0 and told["workloads"] == 8
    shuffled = {f"w{i}": {"kappa": float(k)} for i, k in enumerate(log_kappas[[3, 6, 1, 4, 7, 0, 5, 2]])}
    assert not curvature.tried(_known(log_kappas, 1.0), shuffled, slope=True)["kappa"]["helps"]
    # Ahead by 0.1, by chance.
    weak = {f"w{i}": {"kappa": float(k)} for i, k in enumerate(np.random.default_rng(9).standard_normal(8))}
    lucky = curvature.tried(_known(log_kappas, 0.0), weak, slope=True)["kappa"]
    assert lucky["gain"] > 0.0 and not lucky["helps"]
    few = curvature.tried(_known(log_kappas[:3], 1.0), predictors, slope=True)["kappa"]
    assert few["gain"] is None and few["workloads"] == 3


def test_curvature_is_read_off_the_results() -> None:
    rows = pd.DataFrame({"workload": ["a", "a", "b"], "hessian_max": [8.0, 12.0, 5.0], "hessian_min": [1.0, 3.0, -0.1]})
    told = curvature.measured(rows)
    assert told["a"]["lambda_max"] == pytest.approx(np.log(10.0)) and told["a"]["kappa"] == pytest.approx(np.log(5.0))
    assert "kappa" not in told["b"]
    assert curvature.measured(rows[["workload"]]) == {}
