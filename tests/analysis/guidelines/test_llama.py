"""Language models trained by others: what phitune says of their cooldowns is held to what the runs themselves show.

What is true of the grid (final validation loss at the best LR, one seed, noise about .0018; docs/results/llama):

    budget    .1      .4      .6      .8      .9      cosine to 0   cosine to a tenth
    15k     3.1200  3.0945  3.0913  3.0957  3.0968                  3.1167
    25k     3.0541  3.0272  3.0234  3.0238  3.0290    3.0349        3.0505
    35k     3.0181  2.9909  2.9859  2.9864  2.9884                  3.0131
    50k     2.9825  2.9548  2.9513  2.9523  2.9532    2.9534        2.9819
"""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phitune.analysis import recommend
from phitune.analysis.guidelines import Guidelines, build
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.words.cells import summary_table
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.shapes import place_short
from phitune.analysis.results import read_csv
from phitune.analysis.surface import CellSurface

ROOT = Path(__file__).parents[3]
WORKLOAD = "llama-124M/slimpajama"
LOWEST = {15000: 3.0913, 25000: 3.0234, 35000: 2.9859, 50000: 2.9513}
LRS = np.array([5e-4, 1e-3, 2e-3])
LESS = 0.004


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The runs as the example imports them."""
    target = tmp_path_factory.mktemp("llama") / "llama.csv"
    example = runpy.run_path(str(ROOT / "examples/09_own_results.py"))
    example["main"](ROOT / "docs/results/llama/runs.csv", target)
    return read_csv(target)[0]


@pytest.fixture(scope="module")
def llama(rows: pd.DataFrame) -> Guidelines:
    return build(rows)


def surfaces(llama: Guidelines) -> list[CellSurface]:
    return [each["wsd", "cooldown"] for each in llama.surfaces]


def test_the_grid_is_imported_whole(rows: pd.DataFrame) -> None:
    explored = rows[rows["phase"] == "explore"]
    assert explored.groupby("budget").size().to_dict() == {15000: 20, 25000: 32, 35000: 20, 50000: 45}
    for budget, lowest in LOWEST.items():
        assert rows.loc[rows["budget"] == budget, "objective"].min() == pytest.approx(lowest, abs=1e-4)


def test_the_best_cooldown_is_about_six_tenths_at_every_budget(llama: Guidelines) -> None:
    for cell in llama.cells:
        shape = cell.of("wsd")
        assert cell.family == "wsd" and shape is not None and shape.verdict in ("ok", "boundary")
        assert shape.interval is not None and shape.best is not None
        # 0.6 is the best of .4, .6 and .8 (of all iterations); with the LR between those tried at its best as well, a
        # parabola through the three is lowest at .53 (15k) to .66.
        assert shape.interval[0] < 0.56 and shape.interval[1] > 0.58 and 0.5 < shape.best < 0.7
        # At an LR between those that were tried less is expected than was seen.
        assert cell.expected_objective is not None
        assert -LESS < cell.expected_objective - LOWEST[cell.budget] < 0.003


def test_nothing_is_claimed_of_a_slope_over_budgets(llama: Guidelines) -> None:
    cooldown, mean_lr = llama.models
    assert (cooldown.family, cooldown.quantity, cooldown.kind) == ("wsd", "cooldown", "constant")
    assert cooldown.slope_interval is not None and cooldown.slope_interval[0] < 0 < cooldown.slope_interval[1]
    low, high = cooldown.interval(25000)
    assert 0.35 < low < 0.6 < high < 0.9
    assert mean_lr.quantity == "mean_lr" and mean_lr.family == "wsd"


def test_what_counts_as_equal_is_worth_a_part_of_the_budget(llama: Guidelines) -> None:
    """Three per cent of the budget are worth about .003 in loss: a tenth of a per cent."""
    for cell in llama.cells:
        assert cell.delta_budget == pytest.approx(0.03) and 0.002 < cell.delta * LOWEST[cell.budget] < 0.005


def test_from_four_tenths_on_cooldowns_are_nearly_equal_and_a_tenth_is_worse(llama: Guidelines) -> None:
    for cell, surface in zip(llama.cells, surfaces(llama), strict=True):
        assert max(surface.excess_at(cooldown) for cooldown in (0.41, 0.6, 0.8, 0.9)) < 2.0 * cell.delta
        low = surface.excess_band[0]
        assert low[0] > 3.0 * cell.delta
        # What the runs show: .029 to .032 in loss.
        assert surface.excess_at(0.102) * LOWEST[cell.budget] == pytest.approx(0.03, abs=0.006)


def test_the_best_lr_tried_rises_with_the_cooldown(llama: Guidelines) -> None:
    for cell, surface in zip(llama.cells, surfaces(llama), strict=True):
        best = {c: LRS[surface.mean(np.full(len(LRS), c), LRS).argmin()] for c in (0.102, 0.61, 0.9)}
        assert best[0.102] == 1e-3 and best[0.9] == 2e-3
        # At 50k and .6 the runs at 1e-3 and 2e-3 differ by less than repeats of one configuration do.
        assert best[0.61] == 2e-3 or cell.budget == 50000
        assert surface.best_base_lr[-1] > 1.5 * surface.best_base_lr[0]


def test_a_cosine_to_a_tenth_needs_a_fourth_more_iterations(llama: Guidelines) -> None:
    """Linear in the log of the budget, cooldown .6 reaches its quality in 82 % (of 25k), 78 % (35k) and 73 % (50k)."""
    saved = [s for s in llama.comparisons.budget_saved if (s.family, s.baseline) == ("wsd", "cosine")]
    known = [s.percent for s in saved if s.bound is None and s.percent is not None]
    assert known == pytest.approx([82, 78, 73], abs=4) and known == sorted(known, reverse=True)
    assert any("reaches cosine's quality in 7" in line for line in headlines(llama))


def test_the_cosine_loses_by_its_floor_for_certain(llama: Guidelines) -> None:
    for cell, loss in zip(llama.cells, (3.1167, 3.0505, 3.0131, 2.9819), strict=True):
        gain = cell.gains["cosine"]
        assert gain.certain and gain.percent == pytest.approx(100.0 * (1.0 - LOWEST[cell.budget] / loss), abs=0.2)
    largest = {f.family: f.objective for f in llama.cells[-1].families}
    # One cosine to zero failed at an LR of 5e-3 (7.585): nothing may be expected of it below all that was seen.
    assert largest["cosine-to-zero"] == pytest.approx(2.9534, abs=0.004)
    assert min(largest.values()) > LOWEST[50000] - LESS


def test_the_largest_budget_is_predicted_from_the_others(llama: Guidelines) -> None:
    left_out = llama.validation["leave_largest_budget_out"]
    [row] = left_out["rows"]
    assert (row["family"], row["parameter"], row["budget"], row["usual"]) == (
        "wsd",
        "cooldown",
        50000,
        ("default", 0.2),
    )
    assert 0.4 < row["value"] < 0.85 and row["own_value"] == pytest.approx(0.57, abs=0.1)
    # Per cents of a loss of 2.95; what counts as equal is 0.1.
    assert row["regret"] < 0.1 < 0.3 < row["constant"] < row["rivals"]["cosine"]


def test_the_table_shows_the_cooldown(llama: Guidelines) -> None:
    for cell, row in zip(llama.cells, summary_table(llama), strict=True):
        shape = cell.of("wsd")
        assert shape is not None and row["use"].startswith(f"wsd cooldown={shape.best:.3g}")
        assert row["best cooldown"] == place_short(shape)
        gain = cell.gains["cosine"]
        assert row["over cosine"].endswith(gain.sureness)
        assert row["iterations"].endswith("fewer") == (gain.sureness != "cannot tell" and gain.percent > 0)


def test_recommendations_follow_the_cooldowns_trend(llama: Guidelines, tmp_path: Path) -> None:
    path = tmp_path / "guidelines.json"
    path.write_text(guidelines_json(llama), encoding="utf-8")
    beyond = recommend(WORKLOAD, 100000, guidelines=path)
    assert beyond.warnings[0].startswith("extrapolated: 100000 iterations are 2 times the largest")
    assert (beyond.family, beyond.parameter, beyond.phi) == ("wsd", "cooldown", None)
    assert beyond.value is not None and beyond.interval is not None
    assert 0.45 < beyond.value < 0.75 and beyond.interval[0] < beyond.value < beyond.interval[1] <= 1.0
    assert 8e-4 < beyond.base_lr < 2.5e-3 and beyond.schedule.warmup == 300
    inside = recommend(WORKLOAD, 30000, guidelines=path)
    assert "interpolated" in inside.warnings[0] and inside.value is not None and 0.5 < inside.value < 0.75
    assert f"cooldown = {inside.value:.3g}" in str(inside)
