"""phi* against the exact optimum of noisy quadratics; verdicts; stopped and diverged trials."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.surface import CellSurface, fit_cell
from phitune.analysis.surface.cell_trials import CellTrials
from phitune.analysis.surrogate.evidence import Evidence
from tests.analysis.quadratic_twin import expected_loss, truth
from tests.analysis.synthetic_study import LR_RANGE, PHI_RANGE, Recipe, table


def fit_surface(rows: pd.DataFrame, phi_range: tuple[float, float], seed: int = 0) -> CellSurface:
    """UBA's surface, with 0.2 % as what counts as equal."""
    return fit_cell(rows, {"phi": phi_range}, seed).judged(0.002).uba


def _loss_ratio(recipe: Recipe, surface: CellSurface) -> float:
    """True loss at the recommendation over the lowest possible."""
    assert surface.phi is not None and surface.base_lr is not None
    cell = (recipe.kappa, recipe.c, recipe.budget)
    at = expected_loss(*cell, np.array([surface.phi]), np.array([surface.base_lr]))[0]
    return float(at / truth(*cell, PHI_RANGE, LR_RANGE).loss)


def _covers(recipe: Recipe, surface: CellSurface) -> bool:
    """Whether the interval covers the true phi*, which is exact to half a grid step (7.5 %)."""
    assert surface.phi_interval is not None
    star = truth(recipe.kappa, recipe.c, recipe.budget, PHI_RANGE, LR_RANGE).phi
    return surface.phi_interval[0] / 1.08 <= star <= surface.phi_interval[1] * 1.08


@pytest.mark.parametrize("stop", [False, True], ids=["all completed", "half stopped"])
@pytest.mark.parametrize(("kappa", "c", "budget"), [(10, 1.0, 200), (100, 1.0, 400), (1000, 1.0, 200)])
def test_interval_covers_the_true_optimum(kappa: float, c: float, budget: int, stop: bool) -> None:
    recipe = Recipe(kappa, c, budget, stop=stop)
    surface = fit_surface(table(recipe, seed=1), PHI_RANGE)
    assert _covers(recipe, surface)
    assert _loss_ratio(recipe, surface) < 1.05


def test_interval_is_narrow_when_nothing_is_noisy_and_trials_are_many() -> None:
    recipe = Recipe(10, 1.0, 200, uba=120, stop=False, noise=0.0)
    surface = fit_surface(table(recipe, seed=2), PHI_RANGE)
    assert surface.phi_interval is not None
    assert surface.verdict == "ok" and _covers(recipe, surface)
    assert np.log(surface.phi_interval[1] / surface.phi_interval[0]) < 1.0
    assert _loss_ratio(recipe, surface) < 1.005


def test_a_family_that_was_hardly_tried_is_not_thought_best_where_others_are() -> None:
    rows = table(Recipe(1000, 0.03, 96, stop=False, noise=0.0, families=("step",), lr_range=(1e-3, 2.0)), seed=0)
    steps = rows[rows["family"] == "step"].sort_values("base_lr")
    once = steps[steps["base_lr"] < 0.1].tail(1)
    best = fit_cell(pd.concat([rows[rows["family"] != "step"], once], ignore_index=True), {"phi": PHI_RANGE}).bests
    assert best["step"].base_lr < 1.5 * once["base_lr"].item()
    assert np.median(best["step"].fitted) > np.median(best["uba"].fitted)


def test_hopeless_lrs_that_were_not_tried_do_not_widen_the_interval() -> None:
    recipe = Recipe(1000, 0.03, 400, uba=60, stop=False, noise=0.0, families=(), lr_range=(1e-3, 2.0))
    rows = table(recipe, seed=0)
    near = rows["base_lr"].gt(0.3) & rows["phi"].between(0.15, 25.0)
    lowest = rows["base_lr"].eq(rows["base_lr"].min())
    surface = fit_surface(rows[near | lowest].reset_index(drop=True), PHI_RANGE)
    assert surface.phi_interval is not None
    assert np.log(surface.phi_interval[1] / surface.phi_interval[0]) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "noise"), [(False, 0.0), (False, 0.03), (True, 0.01)])
def test_coverage_over_the_grid_of_quadratics(stop: bool, noise: float) -> None:
    grid = [(k, c, t) for k in (10, 100, 1000) for c in (0.01, 0.1, 1.0) for t in (60, 200, 400, 800)]
    covered, ratios = [], []
    for kappa, c, budget in grid:
        recipe = Recipe(kappa, c, budget, stop=stop, noise=noise)
        surface = fit_surface(table(recipe, seed=5), PHI_RANGE)
        covered.append(_covers(recipe, surface))
        ratios.append(_loss_ratio(recipe, surface))
    assert np.mean(covered) >= 0.85
    assert np.mean(np.array(ratios) < 1.05) >= 0.85


def test_the_same_rows_give_the_same_answer() -> None:
    rows = table(Recipe(10, 1.0, 60), seed=2)
    first, second = (fit_surface(rows, PHI_RANGE, seed=3) for _ in range(2))
    assert first.phi == second.phi and first.base_lr_interval == second.base_lr_interval


def _flat_table(noise: float = 0.0005) -> pd.DataFrame:
    rows = table(Recipe(10, 1.0, 60, stop=False, noise=0.0), seed=1)
    rng = np.random.default_rng(0)
    bowl = 0.3 * (np.log(rows["mean_lr"]) - np.log(0.1)) ** 2
    rows["objective"] = np.exp(bowl + noise * rng.standard_normal(len(rows)))
    rows["deterministic"] = False
    return rows[rows["phase"] == "explore"]


def test_a_surface_without_phi_is_called_flat() -> None:
    assert fit_surface(_flat_table(), PHI_RANGE).verdict == "flat"


def test_a_surface_with_phi_is_not_called_flat() -> None:
    rows = _flat_table()
    phi = rows["phi"].fillna(2.0)
    rows["objective"] *= np.exp(0.02 * (np.log(phi) - np.log(2.0)) ** 2)
    surface = fit_surface(rows, PHI_RANGE)
    assert surface.verdict == "ok"
    assert surface.phi_interval is not None and surface.phi_interval[0] < 2.0 < surface.phi_interval[1]


def test_an_optimum_at_the_end_of_the_range_is_flagged() -> None:
    recipe = Recipe(10, 0.1, 800, stop=False)
    surface = fit_surface(table(recipe, seed=1), PHI_RANGE)
    assert surface.verdict == "boundary"


def test_few_points_are_called_thin() -> None:
    surface = fit_surface(table(Recipe(10, 1.0, 60, uba=4, others=1, stop=False, replicates=0)), PHI_RANGE)
    assert surface.verdict == "thin" and surface.phi is None and surface.base_lr is None


def test_stopped_trials_enter_with_more_uncertainty_than_completed_ones() -> None:
    trials = CellTrials.of(table(Recipe(100, 1.0, 200)))
    evidence = Evidence.of(trials.outcomes, len(trials.labels))
    stopped = trials.outcomes.status[evidence.rows] == "stopped"
    assert stopped.any()
    assert evidence.data.extra[stopped].min() > np.median(evidence.data.extra[~stopped])


def test_a_stopped_trials_own_last_value_is_not_used_as_its_end() -> None:
    rows = table(Recipe(100, 1.0, 200))
    other = rows.copy()
    stopped = other["status"] == "stopped"
    other.loc[stopped, ["val_loss", "ema_val_loss"]] = 1e-9
    assert fit_surface(rows, PHI_RANGE).phi == fit_surface(other, PHI_RANGE).phi


def test_diverged_and_failed_values_mean_nothing() -> None:
    rows = table(replace(Recipe(100, 1.0, 200), lr_range=(0.003, 10.0)), seed=1)
    assert (rows["status"] == "diverged").any()
    other = rows.copy()
    other.loc[other["status"] == "diverged", "objective"] = 1e-9
    extra = rows.head(3).assign(status="failed", objective=1e-9, trial_id=["a", "b", "c"])
    first, second = fit_surface(rows, PHI_RANGE), fit_surface(pd.concat([other, extra]), PHI_RANGE)
    assert first.phi == second.phi and first.base_lr == second.base_lr


@pytest.mark.parametrize("metric", [True, False], ids=["accuracy", "negative score"])
def test_a_maximised_metric_gives_the_same_phi(metric: bool) -> None:
    rows = table(Recipe(10, 1.0, 200, stop=False, noise=0.0), seed=1)
    expected = fit_surface(rows, PHI_RANGE)
    turned = rows.assign(mode="max", objective=1 - rows["objective"] if metric else -rows["objective"])
    surface = fit_surface(turned, PHI_RANGE)
    assert surface.phi is not None and expected.phi is not None and surface.expected is not None
    assert abs(np.log(surface.phi / expected.phi)) < 0.7
    assert surface.expected == pytest.approx(turned["objective"].max(), abs=0.02)
