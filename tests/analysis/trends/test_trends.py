"""A slope is claimed when it is there, refused when it is not or cannot be known; intervals hold what they should."""

import json
import math

import numpy as np
import pytest

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.trends.cell_draws import CellDraws, gather
from phitune.analysis.trends.fit import Trend, fit_trend

RANGE = (math.log(0.05), math.log(50.0))
BUDGETS = (50, 100, 200, 400, 800)
SD = 0.1


def cell(budget: int, log_phi: float, sd: float, workload: str = "w", optimizer: str = "sgd") -> CellDraws:
    """A cell whose surface puts log phi* at N(log_phi, sd^2) within the range searched, and says the same of the LR."""
    spread = np.random.default_rng(budget).standard_normal(400)
    draws = log_phi + sd * spread
    return CellDraws(workload, optimizer, budget, True, RANGE, np.clip(draws, *RANGE), draws)


def study(
    slope: float,
    seed: int,
    budgets: tuple[int, ...] = BUDGETS,
    workloads: int = 1,
    between: float = 0.8,
    sd: float = SD,
) -> tuple[list[CellDraws], np.ndarray]:
    """Cells with a known slope and known intercepts at 200 iterations; returns both."""
    rng = np.random.default_rng(seed)
    intercepts = math.log(2.0) + 0.8 * rng.standard_normal(workloads)
    cells = []
    for i, intercept in enumerate(intercepts):
        for budget in budgets:
            true = intercept + slope * math.log(budget / 200.0)
            cells.append(cell(budget, true + sd * rng.standard_normal(), sd, f"w{i}"))
    return cells, intercepts


def trend(cells: list[CellDraws]) -> Trend:
    return fit_trend(gather(cells, "phi"))


def model(cells: list[CellDraws], workload: str | None = "w0") -> BudgetModel:
    return trend(cells).model("sgd", workload)


def test_a_power_law_is_found_with_its_exponent() -> None:
    found = model(study(0.9, 0)[0])
    assert found.kind == "log-linear"
    assert found.slope_interval is not None and found.slope_interval[0] < 0.9 < found.slope_interval[1]
    assert found.predict(1600)[0] == pytest.approx(math.log(2.0) + 0.9 * math.log(8.0), abs=1.2)


def test_no_slope_from_three_budgets_however_clear() -> None:
    found = model(study(1.0, 0, budgets=(50, 200, 800))[0])
    assert found.kind == "constant" and found.slope == 0.0 and found.slope_interval is None
    assert "4 budgets" in found.reason


def test_budgets_of_different_workloads_do_not_add_up_to_four() -> None:
    cells = study(1.0, 0, budgets=(50, 100))[0] + study(1.0, 1, budgets=(200, 400, 800))[0]
    assert model([*cells[:2], *(CellDraws("w1", *list(vars(c).values())[1:]) for c in cells[2:])]).kind == "constant"


def test_a_constant_is_rarely_mistaken_for_a_slope() -> None:
    kinds = [model(study(0.0, seed)[0]).kind for seed in range(60)]
    assert kinds.count("log-linear") <= 8


def test_cells_weigh_by_their_intervals() -> None:
    found = model([cell(100, 0.0, 0.1, "w0"), cell(200, 2.0, 2.0, "w0")])
    assert found.intercept == pytest.approx(0.0, abs=0.3)


def test_an_optimum_at_the_end_of_the_range_is_a_bound() -> None:
    """Four cells on a line; the fifth lies beyond the range, where only its end is seen."""
    line = {b: 2.4 + 1.2 * math.log(b / 200) for b in BUDGETS}
    assert line[800] > RANGE[1]
    cells = [cell(b, at, 0.1, "w0") for b, at in line.items()]
    assert np.median(cells[-1].log_phi) == RANGE[1]
    found = model(cells)
    assert found.slope == pytest.approx(1.2, abs=0.15)
    assert found.predict(800)[0] > RANGE[1] - 0.1


def test_workloads_lend_each_other_strength() -> None:
    cells, _ = study(0.7, 3, workloads=4, sd=0.4)
    alone = model([c for c in cells if c.workload == "w0"])
    together = model(cells)
    assert together.pooled and together.slope_interval is not None
    width = together.slope_interval[1] - together.slope_interval[0]
    assert alone.slope_interval is None or width < alone.slope_interval[1] - alone.slope_interval[0]


def test_a_new_workload_has_the_wider_interval() -> None:
    cells, _ = study(0.7, 3, workloads=4)
    assert model(cells, None).predict(200)[1] > 2.0 * model(cells).predict(200)[1]


def test_extrapolation_widens_the_interval() -> None:
    found = model(study(0.7, 3, workloads=4)[0])
    widths = [found.predict(budget)[1] for budget in (200, 800, 3200, 8000)]
    assert widths == sorted(widths) and widths[-1] > 1.3 * widths[0]


def test_optimizers_have_levels_of_their_own() -> None:
    cells = [
        cell(b, base + 0.5 * math.log(b / 200), 0.1, w, o)
        for w, extra in (("a", 0.0), ("b", 0.5), ("c", -0.5))
        for o, base in (("sgd", extra), ("adam", extra + 1.5))
        for b in BUDGETS
    ]
    found = trend(cells)
    sgd, adam = (found.model(o, None).predict(200)[0] for o in ("sgd", "adam"))
    assert adam - sgd == pytest.approx(1.5, abs=0.3)


def test_workloads_with_trends_of_their_own_are_told_apart() -> None:
    slopes = {"a": -1.2, "b": 1.2}
    cells = [
        cell(b, s * math.log(b / 200), 0.05, w) for w, s in slopes.items() for b in (50, 80, 125, 200, 320, 500, 800)
    ]
    found = trend(cells)
    for workload, slope in slopes.items():
        assert found.model("sgd", workload).slope == pytest.approx(slope, abs=0.15)
    assert found.model("sgd", None).predict(800)[1] > 1.0


def test_it_survives_json() -> None:
    found = model(study(0.9, 1)[0])
    again = BudgetModel.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found and again.interval(300) == found.interval(300)


def coverage(n: int, workloads: int, sd: float) -> dict[str, float]:
    """Share of simulated studies in which each 90 % interval holds the truth."""
    hits: dict[str, list[bool]] = {"slope": [], "known": [], "new": [], "beyond": []}
    for seed in range(n):
        rng = np.random.default_rng(10_000 + seed)
        cells, intercepts = study(0.7, seed, workloads=workloads, sd=sd)
        found = trend(cells)
        known, new = found.model("sgd", "w0"), found.model("sgd", None)
        if known.kind != "log-linear":
            continue
        assert known.slope_interval is not None
        fresh = math.log(2.0) + 0.8 * rng.standard_normal()
        hits["slope"].append(known.slope_interval[0] < 0.7 < known.slope_interval[1])
        for name, line, budget, true in (
            ("known", known, 200, intercepts[0]),
            ("beyond", known, 1600, intercepts[0] + 0.7 * math.log(8.0)),
            ("new", new, 200, fresh),
        ):
            low, high = line.interval(budget)
            hits[name].append(low < math.exp(true) < high)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def test_intervals_hold_the_truth() -> None:
    assert all(share >= 0.8 for share in coverage(40, 5, 0.2).values())
