"""Regrets of left-out cells against the exact loss, and the warning where the guideline beats nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.guidelines import Guidelines, build
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.trends import validation_lines, warning_lines
from phitune.analysis.trends.validation import LeftOut, summary
from tests.analysis.quadratic_twin import expected_loss
from tests.analysis.synthetic_study import PHI_RANGE, Recipe, table
from tests.analysis.trends.synthetic_draws import BUDGETS

WORKLOADS = {f"quadratic(kappa={kappa:g},noise=1)": kappa for kappa in (30.0, 100.0)}


@pytest.fixture(scope="module")
def two_quadratics() -> Guidelines:
    """Guidelines from two similar quadratics at five budgets, with many trials and little seed noise."""
    recipes = [
        Recipe(k, 1.0, budget, uba=100, stop=False, noise=0.001) for k in WORKLOADS.values() for budget in BUDGETS
    ]
    return build(pd.concat([table(recipe) for recipe in recipes]), None, {"phi": PHI_RANGE})


@pytest.mark.parametrize(("way", "cells"), [("leave_workload_out", 10), ("leave_largest_budget_out", 2)])
def test_regret_is_the_exact_loss_of_the_recommendation(two_quadratics: Guidelines, way: str, cells: int) -> None:
    rows = two_quadratics.validation[way]["rows"]
    assert len(rows) == cells
    scored = 0
    for row in rows:
        if row["regret"] is None or row["regret"] > 30.0:
            continue
        key = (WORKLOADS[row["workload"]], 1.0, row["budget"])
        phi, lr = np.array([row["value"], row["own_value"]]), np.array([row["base_lr"], row["own_base_lr"]])
        recommended, own = expected_loss(*key, phi, lr)
        [cell] = [c for c in two_quadratics.cells if (c.label, c.budget) == (row["workload"], row["budget"])]
        oracle = min(own, *(family.objective for family in cell.families))
        assert row["regret"] == pytest.approx(100.0 * (recommended / oracle - 1.0), abs=2.0)
        scored += 1
    assert scored >= cells / 2


def test_a_trend_predicts_the_largest_budget(two_quadratics: Guidelines) -> None:
    largest = two_quadratics.validation["leave_largest_budget_out"]
    assert largest["regret"]["worst"] < 5.0
    assert largest["regret"]["mean"] < largest["constant"]["mean"]


def _row(workload: str, regret: float | None, constant: float, relative: bool = True) -> LeftOut:
    usual = ("cosine", 2.0)
    return LeftOut(
        workload, "sgd", 100, "uba", "phi", 1.0, 0.1, 1.0, 0.1, regret, usual, constant, {"cosine": 3.0}, relative
    )


def test_per_cents_of_the_objective_and_of_the_spread_have_no_median_together(two_quadratics: Guidelines) -> None:
    usual, crossing = [_row(w, 1.0, 2.0) for w in "abc"], [_row(w, 50.0, 10.0, relative=False) for w in "de"]
    both = summary([crossing[0], *usual, crossing[1]])
    assert (both["n"], both["relative"], both["regret"]["median"], both["regret"]["worst"]) == (3, True, 1.0, 1.0)
    assert both["gain_over_constant"]["mean"] == 1.0
    apart = both["of_spread"]
    assert (apart["n"], apart["relative"], apart["regret"]["median"]) == (2, False, 50.0)
    assert apart["gain_over_constant"]["mean"] == -40.0
    assert len(both["rows"]) == 5
    of_objective, of_spread, _ = validation_lines(replace(two_quadratics, validation={"leave_workload_out": both}))
    assert "(3 cells)" in of_objective and "Per cent of" not in of_objective
    assert "(2 cells)" in of_spread and of_spread.endswith("spread of its better trials, as it crosses zero.")
    warnings = warning_lines(replace(two_quadratics, validation={"leave_workload_out": both}))
    assert ["spread" in line for line in warnings if "does worse" in line] == [True]
    alone = summary(crossing)
    assert (alone["n"], alone["relative"]) == (2, False) and "of_spread" not in alone


def test_the_lines_below_the_answers_warn_of_a_guideline_that_beats_nothing(two_quadratics: Guidelines) -> None:
    rows = [_row("a", 5.0, 1.0), _row("a", 4.0, 2.0), _row("b", 6.0, 2.0)]
    worse = replace(two_quadratics, validation={"leave_workload_out": summary(rows)})
    [line] = warning_lines(worse)
    assert line in headlines(worse)[1:] and "does worse than φ = 2" in line and "-3.5 %" in line
    better = [_row(r.workload, r.constant, r.regret or 0.0) for r in rows]
    assert warning_lines(replace(two_quadratics, validation={"leave_workload_out": summary(better)})) == []


def test_one_workload_is_too_few_to_judge_the_next(two_quadratics: Guidelines) -> None:
    one = summary([_row("a", 1.0, 9.0), _row("a", 1.0, 9.5), _row("b", None, 3.0)])
    assert one["gain_over_constant"] is None
    [line] = warning_lines(replace(two_quadratics, validation={"leave_workload_out": one}))
    assert line.startswith("Workload left out") and "cannot be told" in line


@pytest.mark.parametrize("runs", [pytest.param(300, id="quick"), pytest.param(4000, id="long", marks=pytest.mark.slow)])
@pytest.mark.parametrize("workloads", [2, 3, 5])
def test_the_gains_interval_covers_the_mean_over_workloads(workloads: int, runs: int) -> None:
    """Workloads differ by as much as cells within them."""
    rng = np.random.default_rng(workloads)
    covered = []
    for _ in range(runs):
        own = rng.standard_normal(workloads)
        gains = [(f"w{i}", 2.0 + own[i] + rng.standard_normal()) for i in range(workloads) for _ in range(4)]
        interval = summary([_row(name, 0.0, gain) for name, gain in gains])["gain_over_constant"]
        covered.append(interval["low"] <= 2.0 <= interval["high"])
    # Four standard errors of the share.
    assert np.mean(covered) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / runs))


def test_cells_that_cannot_be_scored_are_counted() -> None:
    values = summary([_row("a", None, 1.0), _row("a", 2.0, 2.5), _row("b", 4.0, 3.5)])
    assert (values["n"], values["regret"]["n"]) == (3, 2)
    assert values["regret"]["median"] == 3.0 and values["gain_over_constant"]["mean"] == 0.0
