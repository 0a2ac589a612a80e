"""An objective that crosses zero has no per cents of its own: differences are said in its own units."""

from __future__ import annotations

import pandas as pd
import pytest

from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.charts.families import families_compared
from phitune.analysis.report.charts.quality import quality_against_parameter
from phitune.analysis.report.words.cells import legend, summary_table, units
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.trends import validation_lines
from tests.analysis.synthetic_study import Recipe, table

BUDGETS = (100, 200, 400)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Cells whose objective is the quadratic's loss in millionths, less the median of the cell's completed trials."""
    cells = [table(Recipe(100, 1.0, budget, uba=24, others=5)) for budget in BUDGETS]
    values = ["objective", "val_loss", "ema_val_loss", "test_loss", "rung_1"]
    for cell in cells:
        offset = cell.loc[cell["status"] == "completed", "objective"].median()
        cell[values] = 1e-6 * (cell[values] - offset)
    return pd.concat(cells, ignore_index=True)


@pytest.fixture(scope="module")
def crossing(rows: pd.DataFrame) -> Guidelines:
    return build(rows)


def test_gains_are_differences_in_the_objective_s_units(rows: pd.DataFrame, crossing: Guidelines) -> None:
    assert [cell.delta_relative for cell in crossing.cells] == [False] * len(BUDGETS)
    for cell in crossing.cells:
        mine = rows[(rows["budget"] == cell.budget) & (rows["status"] == "completed")]["objective"]
        for gain in cell.gains.values():
            assert not gain.relative
            assert abs(gain.percent) <= mine.max() - mine.min()
    for row in summary_table(crossing):
        assert "%" not in row["over cosine"] + row["over linear"]


def test_regrets_are_shares_of_the_spread_of_the_better_trials(rows: pd.DataFrame, crossing: Guidelines) -> None:
    scored = crossing.validation["leave_largest_budget_out"]
    assert scored["n"] == 1 and not scored["relative"]
    completed = rows[(rows["budget"] == BUDGETS[-1]) & (rows["status"] == "completed")]["objective"]
    explore = rows[(rows["budget"] == BUDGETS[-1]) & (rows["status"] == "completed") & (rows["phase"] == "explore")]
    spread = float(completed.median() - completed.min())
    # The worst configuration that completed bounds every regret of a recommendation.
    worst = 100.0 * float(explore["objective"].max() - explore["objective"].min()) / spread
    for name in ("regret", "constant", "cosine", "linear"):
        assert 0.0 <= scored[name]["worst"] <= worst


def test_words_and_axes_name_the_units(crossing: Guidelines) -> None:
    assert units(crossing) == "per cent of the objective, or its own units where it crosses zero"
    assert units(crossing) in legend(crossing)
    whole = "the spread of its better trials, as it crosses zero"
    assert validation_lines(crossing)[1].endswith(f"Per cent of {whole}.")
    assert not [line for line in headlines(crossing) if "% of the objective" in line]
    for unit in (True, False):
        drawn = [families_compared(crossing, unit), quality_against_parameter(crossing, "phi", unit)]
        assert all(bool(chart.rows) != unit for chart in drawn)
        labels = [layer["encoding"]["x"].get("title") for layer in drawn[0].spec["layer"]]
        labels += [layer["encoding"]["y"].get("title") for layer in drawn[1].spec["layer"]]
        if not unit:
            assert {"gain (validation loss)", "validation loss above the best"} <= set(labels)
            assert not any("%" in (label or "") for label in labels)


def test_a_positive_objective_keeps_its_per_cents() -> None:
    usual = build(pd.concat([table(Recipe(100, 1.0, budget, uba=12, others=3)) for budget in BUDGETS[:1]]))
    assert units(usual) == "per cent of the objective"
    assert all(gain.relative for cell in usual.cells for gain in cell.gains.values())
