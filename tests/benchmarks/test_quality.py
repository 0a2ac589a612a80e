"""The simulator of searches: whose time is counted, and against what a choice is scored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.quality.curves import AVERAGES, QUADRATIC, SHARES, Floats, points, schedule_of
from benchmarks.quality.own import Phitune, Settings
from benchmarks.quality.peers import Random, TpeAsha
from benchmarks.quality.quadratic import losses
from benchmarks.quality.scores import Curve
from benchmarks.quality.simulation import Method, Proposal, simulate
from benchmarks.quality.table import GRID, FamilyTable, Table, grids
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload

BEST_LR = 0.1


@pytest.fixture(scope="module")
def table() -> Table:
    """Every family has its best at φ = 1 and base LR 0.1, or near; losses fall as 1/share; no noise, no divergence."""
    cell = QUADRATIC.cell()
    families = {}
    for space in cell.families:
        log_phi, log_lr = grids(cell, space.label)
        bowl = 0.1 * (log_phi[:, None] ** 2 + (log_lr - math.log(BEST_LR)) ** 2)
        along = bowl[:, :, None] - np.log(SHARES)
        nothing = np.empty((0, 0, 0), dtype=np.int64)
        expected = np.repeat(along[..., None], len(AVERAGES), axis=3)
        noise = np.zeros((1, len(SHARES), len(AVERAGES)))
        families[space.label] = FamilyTable(log_phi, log_lr, expected, noise, np.zeros(1, dtype=np.int64), nothing)
    return Table("made", cell, families, 10.0, "")


class _Oracle(Method):
    """Proposes the best configuration a few times and ends each trial at a given point."""

    def __init__(self, table: Table, last: int, trials: int = 6) -> None:
        family = table.families["linear"]
        column = int(family.expected[0, :, -1, 0].argmin())
        self._proposal = Proposal("0", "linear", math.nan, math.exp(family.log_lr[column]))
        self._last = last
        self._left = trials

    def propose(self) -> Proposal | None:
        self._left -= 1
        return self._proposal if self._left >= 0 else None

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        return point != self._last

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        assert status == ("completed" if self._last == len(SHARES) - 1 else "stopped")

    def choice(self) -> Proposal:
        return self._proposal


@pytest.mark.parametrize("last", range(len(SHARES)))
def test_an_oracle_has_no_regret_and_pays_for_what_it_trained(table: Table, last: int) -> None:
    trace = simulate(_Oracle(table, last), table, seed=0, most=math.inf)
    assert trace.regret == pytest.approx(0.0, abs=1e-9)
    assert trace.compute[-1] == pytest.approx(6 * SHARES[last])


def test_phitune_pays_for_trials_and_replicates(table: Table) -> None:
    unstopped = simulate(Phitune(table, 0, 10, Settings(shares=())), table, 0, math.inf)
    # A finalist of each of the five families, and perhaps the second best overall; the cell has no seeds, so once each.
    assert unstopped.compute[-1] in (15.0, 16.0)
    stopped = simulate(Phitune(table, 0, 10, Settings()), table, 0, math.inf)
    assert stopped.compute[-1] < unstopped.compute[-1]
    assert np.isfinite(stopped.regret[-1])


def test_the_recipe_stops_trials_and_random_search_does_not(table: Table) -> None:
    recipe = simulate(TpeAsha(table.cell, 0, table.cap), table, 0, 10.0)
    uniform = simulate(Random(table.cell, 0), table, 0, 10.0)
    assert len(recipe.compute) > 2 * len(uniform.compute)


def test_exact_losses_agree_with_the_workload() -> None:
    cell = QUADRATIC.cell()
    schedule = schedule_of(cell, "uba", 5.0)
    training = Training(workload(cell.workload), TrialConfig("sgd", cell.budget, schedule, 0.5, 0), points=1)
    for point, step in enumerate(points(cell.budget)):
        training.advance(step)
        last = training.curve[-1]
        exact = losses(cell, [schedule], np.array([0.5]))[0, point]
        own = AVERAGES.index(10)
        assert [exact[0], exact[own]] == pytest.approx([last["val_loss"], last["ema_val_loss"]], rel=1e-9)


def test_bilinear_between_grid_points(table: Table) -> None:
    family = table.families["uba"]
    i, j = GRID // 3, GRID // 2
    middle = family.at(math.exp(family.log_phi[i : i + 2].mean()), math.exp(family.log_lr[j : j + 2].mean()))
    assert middle == pytest.approx(family.expected[i : i + 2, j : j + 2].mean(axis=(0, 1)))


def test_the_compute_to_reach_a_regret() -> None:
    compute = np.tile([1.0, 10.0, 100.0], (5, 1))
    curve = Curve(compute, np.tile([0.1, 0.01, 0.001], (5, 1)))
    assert curve.reach(0.01) == pytest.approx(10.0)
    assert curve.reach(0.1 / math.sqrt(10)) == pytest.approx(math.sqrt(10), rel=1e-6)
    assert curve.reach(1e-4) == math.inf
    assert curve.interval(0.01) == pytest.approx((10.0, 10.0))
