"""A slope is claimed when the cells show one and refused otherwise; intervals cover what they should."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.trends import CellDraws, Trend, fit_models, fit_trend, trend_data
from tests.analysis.trends.synthetic_draws import BUDGETS, RANGE, cell, study


def trend(cells: list[CellDraws]) -> Trend:
    return fit_trend(trend_data(cells, "phi"))


def model(cells: list[CellDraws], workload: str | None = "w0") -> BudgetModel:
    return trend(cells).model("sgd", workload)


@pytest.fixture(scope="module")
def four_workloads() -> Trend:
    return trend(study(0.7, 3, workloads=4)[0])


def test_a_power_law_is_claimed_with_its_exponent() -> None:
    line = model(study(0.9, 0)[0])
    assert line.kind == "log-linear" and line.verdict == "slope"
    assert line.slope_interval is not None and line.slope_interval[0] < 0.9 < line.slope_interval[1]
    assert line.predict(1600)[0] == pytest.approx(math.log(2.0) + 0.9 * math.log(8.0), abs=1.2)


def test_no_slope_from_three_budgets_however_clear() -> None:
    line = model(study(1.0, 0, budgets=(50, 200, 800))[0])
    assert line.kind == "constant" and line.slope == 0.0 and line.slope_interval is None
    assert (line.verdict, line.located_budgets) == ("few budgets", 3)


def test_budgets_of_different_workloads_do_not_add_up_to_four() -> None:
    two = study(1.0, 0, budgets=(50, 100))[0]
    three = study(1.0, 1, budgets=(200, 400, 800))[0]
    assert model([*two, *(replace(c, workload="w1") for c in three)]).kind == "constant"


def test_a_constant_is_rarely_mistaken_for_a_slope() -> None:
    kinds = [model(study(0.0, seed)[0]).kind for seed in range(60)]
    assert kinds.count("log-linear") <= 8


def test_cells_weigh_by_their_intervals() -> None:
    line = model([cell(100, 0.0, 0.1, "w0"), cell(200, 2.0, 2.0, "w0")])
    assert line.intercept == pytest.approx(0.0, abs=0.3)


def test_an_optimum_at_the_end_of_the_range_is_a_bound() -> None:
    """Four cells on a line; the fifth lies beyond the range, where only its end is seen."""
    truths = {b: 2.4 + 1.2 * math.log(b / 200) for b in BUDGETS}
    assert truths[800] > RANGE[1]
    cells = [cell(b, truth, 0.1, "w0") for b, truth in truths.items()]
    assert np.median(cells[-1].log_value) == RANGE[1]
    line = model(cells)
    assert line.slope == pytest.approx(1.2, abs=0.15)
    assert line.predict(800)[0] > RANGE[1] - 0.1


def test_other_workloads_narrow_the_slopes_interval() -> None:
    cells, _ = study(0.7, 3, workloads=4, sd=0.4)
    alone = model([c for c in cells if c.workload == "w0"])
    together = model(cells)
    assert together.pooled and together.slope_interval is not None
    width = together.slope_interval[1] - together.slope_interval[0]
    assert alone.slope_interval is None or width < alone.slope_interval[1] - alone.slope_interval[0]


def test_a_new_workload_has_the_wider_interval(four_workloads: Trend) -> None:
    new, known = (four_workloads.model("sgd", workload) for workload in (None, "w0"))
    assert new.predict(200)[1] > 2.0 * known.predict(200)[1]


def test_extrapolation_widens_the_interval(four_workloads: Trend) -> None:
    line = four_workloads.model("sgd", "w0")
    widths = [line.predict(budget)[1] for budget in (200, 800, 3200, 8000)]
    assert widths == sorted(widths) and widths[-1] > 1.3 * widths[0]


def test_each_optimizer_has_its_level() -> None:
    cells = [
        cell(b, base + 0.5 * math.log(b / 200), 0.1, w, o)
        for w, extra in (("a", 0.0), ("b", 0.5), ("c", -0.5))
        for o, base in (("sgd", extra), ("adam", extra + 1.5))
        for b in BUDGETS
    ]
    fitted = trend(cells)
    sgd, adam = (fitted.model(o, None).predict(200)[0] for o in ("sgd", "adam"))
    assert adam - sgd == pytest.approx(1.5, abs=0.3)


def test_workloads_with_different_slopes_are_fitted_separately() -> None:
    slopes = {"a": -1.2, "b": 1.2}
    cells = [
        cell(b, s * math.log(b / 200), 0.05, w) for w, s in slopes.items() for b in (50, 80, 125, 200, 320, 500, 800)
    ]
    fitted = trend(cells)
    for workload, slope in slopes.items():
        assert fitted.model("sgd", workload).slope == pytest.approx(slope, abs=0.15)
    assert fitted.model("sgd", None).predict(800)[1] > 1.0


def test_a_workload_without_draws_has_no_trend() -> None:
    for line in fit_models("wsd", ("cooldown", "mean_lr"), [], [], [("w", "sgd")]):
        assert (line.family, line.kind, line.verdict, line.intercept) == ("wsd", "none", "no cell", None)


def test_a_model_survives_json() -> None:
    line = model(study(0.9, 1)[0])
    again = BudgetModel.from_dict(json.loads(json.dumps(line.to_dict())))
    assert again == line and again.interval(300) == line.interval(300)


def coverage(n: int, workloads: int, sd: float) -> dict[str, float]:
    """Share of n simulated studies in which each 90 % interval covers the truth."""
    covered: dict[str, list[bool]] = {"slope": [], "known": [], "new": [], "beyond": []}
    for seed in range(n):
        rng = np.random.default_rng(10_000 + seed)
        cells, intercepts = study(0.7, seed, workloads=workloads, sd=sd)
        fitted = trend(cells)
        known, new = fitted.model("sgd", "w0"), fitted.model("sgd", None)
        if known.kind != "log-linear":
            continue
        assert known.slope_interval is not None
        fresh = math.log(2.0) + 0.8 * rng.standard_normal()
        covered["slope"].append(known.slope_interval[0] < 0.7 < known.slope_interval[1])
        for name, line, budget, truth in (
            ("known", known, 200, intercepts[0]),
            ("beyond", known, 1600, intercepts[0] + 0.7 * math.log(8.0)),
            ("new", new, 200, fresh),
        ):
            low, high = line.interval(budget)
            covered[name].append(low < math.exp(truth) < high)
    return {name: float(np.mean(each)) for name, each in covered.items()}


def test_intervals_cover_the_truth() -> None:
    assert all(share >= 0.8 for share in coverage(40, 5, 0.2).values())
