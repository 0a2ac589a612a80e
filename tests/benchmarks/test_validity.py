"""The analysis against answers that are known: the benchmark in small, and the benchmark's own truths."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.validity import quadratics, simulated, trends
from benchmarks.validity.surfaces import BUDGET, PHI_RANGE, Landscape, search
from phitune.trainables.workloads.exact import Quadratic
from tests.analysis.quadratic_twin import truth


@pytest.mark.parametrize(("kappa", "noise", "budget"), [(1000.0, 0.03, 100), (10.0, 1.0, 60)])
def test_the_truth_is_the_twins(kappa: float, noise: float, budget: int) -> None:
    optimum = quadratics.truth(Quadratic(kappa, noise), budget)
    twin = truth(kappa, noise, budget, PHI_RANGE, (0.005, 2.0))
    assert optimum.phi == pytest.approx(twin.phi, rel=0.08)
    assert optimum.loss <= twin.loss * 1.0001


def test_a_made_cell_looks_like_a_searched_one() -> None:
    rng = np.random.default_rng(0)
    land = Landscape.random(rng)
    rows = search({BUDGET: land}, rng)
    assert {"completed", "stopped"} <= set(rows["status"])
    assert rows.loc[rows["status"] != "completed", "objective"].isna().all()
    best = rows["objective"].min()
    assert 1.0 - 4.0 * land.noise < best < 1.3
    assert land.loss(land.log_phi, land.log_lr) == 0.0


@pytest.mark.full
def test_intervals_hold_the_truth_and_flat_differs_from_steep() -> None:
    coverage = simulated.summary(
        [simulated.one(s) for s in range(30)], [simulated.one(s, flat=True) for s in range(15)]
    )
    for name in ("phi", "base_lr", "expected"):
        assert coverage[f"{name} covered"] >= 0.75
    assert coverage["flat called flat"] >= 0.8
    assert coverage["not flat called flat"] <= 0.2


@pytest.mark.slow
def test_coverage_over_hundreds_of_cells_and_studies() -> None:
    cells = [simulated.one(s) for s in range(300)], [simulated.one(s, flat=True) for s in range(150)]
    coverage = simulated.summary(*cells) | trends.coverage(300)
    for name in ("phi", "base_lr", "expected", "slope", "beyond", "new workload"):
        assert 0.85 <= coverage[f"{name} covered"] <= 0.95, name
    assert coverage["flat called flat"] >= 0.9 and coverage["not flat called flat"] <= 0.1


@pytest.mark.slow
def test_quadratics_searched_by_the_command_are_solved(tmp_path: Path) -> None:
    plan = quadratics.Plan(kappas=(10.0, 1000.0), noises=(0.3,), budgets=(50, 100, 200, 400), trials=50)
    summary = quadratics.score(quadratics.search(plan, tmp_path))["summary"]
    assert isinstance(summary, dict)
    assert summary["phi covered"] >= 0.75 and summary["worst loss ratio"] <= 1.05
