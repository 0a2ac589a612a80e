"""The simulator of searches: whose time is counted, and against what a choice is scored."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from benchmarks.quality.curves import AVERAGES, SHARES, Floats, points, schedule_of
from benchmarks.quality.exact import losses, problem, quadratic_setting, regression_setting
from benchmarks.quality.own import Phitune, Settings
from benchmarks.quality.peers.optuna import Optuna
from benchmarks.quality.peers.recipe import Recipe
from benchmarks.quality.peers.simple import ByHand, Random, TopK
from benchmarks.quality.scores import Curve
from benchmarks.quality.simulation import Method, Proposal, simulate, simulate_cells
from benchmarks.quality.table import GRID, FamilyTable, Table, grids
from phitune.trainables.schedules import schedule
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import Problem

BEST_LR = 0.1
LAST = len(SHARES) - 1
# More than any search here spends.
ENDLESS = [math.inf]


def made_table(budget: int) -> Table:
    """Every family has its best at φ = 1 and base LR 0.1, or near; losses fall as 1/share; no noise, no divergence."""
    cell = quadratic_setting(1000, budget).cell()
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


@pytest.fixture(scope="module")
def table() -> Table:
    return made_table(800)


class _Oracle(Method):
    """Proposes the best configuration a few times, in each cell in turn, and ends each trial at a given point."""

    def __init__(self, table: Table, last: int, trials: int = 6, cells: int = 1) -> None:
        family = table.families["linear"]
        column = int(family.expected[0, :, -1, 0].argmin())
        self._base_lr = math.exp(family.log_lr[column])
        self._last = last
        self._left = trials
        self._cells = cells

    def propose(self) -> Proposal | None:
        self._left -= 1
        return self._best(self._left % self._cells, str(self._left)) if self._left >= 0 else None

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        return point != self._last

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        assert status == ("completed" if self._last == LAST else "stopped")

    def choice(self) -> Proposal:
        return self._best(0)

    def choices(self) -> list[Proposal]:
        return [self._best(cell) for cell in range(self._cells)]

    def _best(self, cell: int, key: str = "") -> Proposal:
        return Proposal(key, "linear", math.nan, self._base_lr, cell)


@pytest.mark.parametrize("last", range(len(SHARES)))
def test_an_oracle_has_no_regret_and_pays_for_what_it_trained(table: Table, last: int) -> None:
    trace = simulate(_Oracle(table, last), table, seed=0, at=ENDLESS)
    assert trace.regret == pytest.approx(0.0, abs=1e-9)
    assert trace.spent == pytest.approx(6 * SHARES[last])


def test_cells_have_a_compute_of_their_own(table: Table) -> None:
    tables = [table, made_table(100), made_table(400)]
    traces = simulate_cells(_Oracle(table, LAST, trials=7, cells=3), tables, seed=0, at=ENDLESS)
    assert [trace.spent for trace in traces] == pytest.approx([3, 2, 2])
    assert all(trace.regret == pytest.approx(0.0, abs=1e-9) for trace in traces)
    stopped = simulate_cells(_Oracle(table, LAST, trials=100, cells=3), tables, seed=0, at=[5.0], slots=1)
    assert np.mean([trace.spent for trace in stopped]) == pytest.approx(5.0, abs=1 / 3)


def test_a_trial_that_is_resumed_pays_only_for_the_rest(table: Table) -> None:
    peer = TopK(table.cell, 0)
    trace = simulate(peer, table, seed=0, at=[6.0, 10.0])
    # 24 trials to a quarter, three of them to the end.
    statuses = [seen.status for seen in peer.trials]
    assert statuses[:24] == ["stopped"] * 24
    finished = [seen for seen in peer.trials if seen.status == "completed"][:3]
    quarters = {seen.proposal.key: seen.loss for seen in peer.trials[:24]}
    best = sorted(quarters, key=quarters.__getitem__)[:3]
    assert {seen.proposal.key for seen in finished} == set(best)
    assert np.isinf(trace.regret[0]) and np.isfinite(trace.regret[1])
    alone = simulate(TopK(table.cell, 0), table, seed=0, at=[24 / 4 + 3 * 3 / 4], slots=1)
    assert alone.spent == pytest.approx(24 / 4 + 3 * 3 / 4 + 1 / 4)


def test_phitune_pays_for_trials_and_replicates(table: Table) -> None:
    unstopped = simulate(Phitune(table, 0, 14, Settings(early_stopping="none")), table, 0, ENDLESS)
    # Three seeds of the best and of cosine and linear, of which one may be the best.
    assert unstopped.spent in (14 + 6, 14 + 9)
    stopped = simulate(Phitune(table, 0, 14, Settings(early_stopping="asha")), table, 0, ENDLESS)
    assert stopped.spent < unstopped.spent
    assert np.isfinite(stopped.regret[-1])


def test_phitune_searches_several_cells_at_once() -> None:
    tables = [made_table(100), made_table(400)]
    traces = simulate_cells(Phitune(tables, 0, 10, Settings(replicates=0)), tables, 0, [10.0])
    assert all(trace.regret[-1] < 0.05 for trace in traces)


def test_the_recipe_stops_trials_and_random_search_does_not(table: Table) -> None:
    recipe, uniform = Recipe(table.cell, 0, table.cap), Random(table.cell, 0)
    for peer in (recipe, uniform):
        simulate(peer, table, 0, [10.0])
    assert len(recipe.trials) > 2 * len(uniform.trials)


def test_by_hand_takes_the_best_of_twelve_lrs_and_repeats_three(table: Table) -> None:
    peer = ByHand(table.cell, "cosine")
    simulate(peer, table, 0, [30.0])
    lrs = np.geomspace(*table.cell.base_lr, 12)
    nearest = sorted(lrs, key=lambda lr: abs(math.log(lr / BEST_LR)))
    choice = peer.choice()
    assert choice is not None and choice.base_lr == pytest.approx(nearest[0])
    assert {seen.proposal.family for seen in peer.trials} == {"cosine"}
    assert sorted({seen.proposal.base_lr for seen in peer.trials[12:]}) == pytest.approx(sorted(nearest[:3]))


def test_optuna_is_told_what_it_asked_for(table: Table) -> None:
    sampler = optuna.samplers.TPESampler(seed=0)
    peer = Optuna(table.cell, sampler, table.cap, conditional=True)
    simulate(peer, table, 0, [12.0])
    assert all((seen.proposal.family == "uba") == math.isfinite(seen.proposal.phi) for seen in peer.trials)
    told = peer._study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    by_key = {str(trial.number): trial.value for trial in told}
    assert by_key == {seen.proposal.key: seen.loss for seen in peer.trials}


@pytest.mark.full
def test_botorch_finds_the_bowl(table: Table) -> None:
    pytest.importorskip("botorch")
    from benchmarks.quality.peers.botorch import Botorch

    peer = Botorch(table.cell, 0, table.cap)
    simulate(peer, table, 0, [14.0])
    distances = [abs(math.log(seen.proposal.base_lr / BEST_LR)) for seen in peer.trials]
    assert np.median(distances[10:]) < np.median(distances[:8]) / 2


def test_exact_losses_agree_with_the_workload() -> None:
    cell = quadratic_setting(1000, 800).cell()
    uba = schedule_of(cell, "uba", 5.0)
    training = Training(workload(cell.workload), TrialConfig("sgd", cell.budget, uba, 0.5, 0), points=1)
    for point, step in enumerate(points(cell.budget)):
        training.advance(step)
        last = training.curve[-1]
        exact = losses(problem(cell), cell.budget, [uba], np.array([0.5]))[0, point]
        assert exact == pytest.approx([last["val_loss"], last["ema_val_loss"]], rel=1e-9)


def test_losses_of_a_regression_are_means_over_runs_of_sgd() -> None:
    rng = np.random.default_rng(0)
    made = Problem(np.array([1.0, 0.5, 0.2]), np.full(3, 1 / 3), np.zeros(3), 0.25)
    budget, lr, runs = 40, 0.6, 200_000
    linear = schedule("linear")
    # Noise of the variance that the recursion has: c λᵢ Σλp, independent of the weights' signs.
    w = rng.choice([-1.0, 1.0], (runs, 3)) / math.sqrt(3)
    a = w.copy()
    for step in range(budget):
        rate = lr * float(linear.u(np.array([step]), budget)[0])
        spread = np.sqrt(made.proportional * made.curvature * (made.curvature * w**2).sum(1)[:, None])
        w = w - rate * (made.curvature * w + spread * rng.standard_normal(w.shape))
        share = min(1.0, AVERAGES[1] / (step + 1))
        a = (1 - share) * a + share * w
    simulated = [0.5 * (made.curvature * each**2).sum(1).mean() for each in (w, a)]
    exact = losses(made, budget, [linear], np.array([lr]))[0, -1]
    assert exact == pytest.approx(simulated, rel=0.03)


def test_the_optimum_of_the_regression_is_inside_the_range() -> None:
    cell = regression_setting(400).cell()
    lrs = np.geomspace(*cell.base_lr, GRID)
    final = losses(problem(cell), 400, [schedule("linear")] * GRID, lrs)[:, -1, 0]
    cliff = int(np.flatnonzero(final > final[0])[0])
    assert 5 < final.argmin() < cliff - 2


def test_bilinear_between_grid_points(table: Table) -> None:
    family = table.families["uba"]
    i, j = GRID // 3, GRID // 2
    middle = family.at(math.exp(family.log_phi[i : i + 2].mean()), math.exp(family.log_lr[j : j + 2].mean()))
    assert middle == pytest.approx(family.expected[i : i + 2, j : j + 2].mean(axis=(0, 1)))


def test_the_compute_to_reach_a_regret() -> None:
    curve = Curve(np.array([1.0, 10.0, 100.0]), np.tile([0.1, 0.01, 0.001], (5, 1)))
    assert curve.reach(0.01) == pytest.approx(10.0)
    assert curve.reach(0.1 / math.sqrt(10)) == pytest.approx(math.sqrt(10), rel=1e-6)
    assert curve.reach(1e-4) == math.inf
    assert curve.interval(0.01) == pytest.approx((10.0, 10.0))
