"""Results from which little or nothing follows: a clear statement, never a number without ground."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.words.cells import summary_table
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.trends import model_lines, validation_lines, warning_lines
from tests.analysis.made_study import PHI_RANGE, Recipe, table


def cell(**changes: Any) -> pd.DataFrame:
    return table(Recipe(**{"kappa": 10, "c": 1.0, "budget": 60, "uba": 16, "others": 3, "replicates": 2, **changes}))


def analysed(rows: pd.DataFrame) -> Guidelines:
    """The conclusions, after all that is said of them could be said and written."""
    found = build(rows, None, PHI_RANGE)
    said = [*headlines(found), *model_lines(found), *validation_lines(found), *warning_lines(found)]
    assert not any("nan" in line or "None" in line for line in said)
    assert "nan" not in str(summary_table(found))
    json.loads(found.to_json())
    return found


def test_all_diverged() -> None:
    rows = cell().assign(status="diverged", objective=np.nan)
    [found] = analysed(rows).cells
    assert found.family is None and found.phi is None and found.base_lr is None and found.schedule is None
    assert found.family_reason == "no trial completed"


def test_nothing_completed() -> None:
    [found] = analysed(cell().assign(status="stopped", objective=np.nan)).cells
    assert found.family is None and found.expected_metric is None and found.expected_objective is None


def test_one_budget_gives_no_trend_and_nothing_to_validate() -> None:
    found = analysed(cell())
    phi = next(m for m in found.models if m.quantity == "phi")
    assert phi.kind == "constant" and phi.slope_interval is None and "needs 4 budgets" in phi.reason
    assert all(v["n"] == 0 for v in found.validation.values())


def test_one_family_that_is_not_uba() -> None:
    rows = cell()
    found = analysed(rows[rows["family"] == "linear"])
    assert found.cells[0].verdict == "absent" and found.cells[0].phi is None
    assert {m.kind for m in found.models} == {"none"}


def test_uba_alone() -> None:
    rows = cell()
    [found] = analysed(rows[rows["family"] == "uba"]).cells
    assert found.family == "uba" and not found.gains


def test_one_seed_has_no_interval_of_a_gain() -> None:
    rows = cell()
    [found] = analysed(rows[rows["phase"] == "explore"]).cells
    assert found.comparison_evidence == "explore"
    assert all(gain.interval is None for gain in found.gains.values())


def test_a_constant_metric_says_that_phi_does_not_matter() -> None:
    rows = cell(stop=False)
    [found] = analysed(rows.assign(objective=1.0, val_loss=1.0)).cells
    assert found.verdict == "flat"
    assert found.expected_objective == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_say_nothing(value: float) -> None:
    rows = cell()
    worst = rows["objective"].nlargest(3).index
    broken = rows.copy()
    broken.loc[worst, "objective"] = value
    [found] = analysed(broken).cells
    assert found.phi is not None and found.expected_objective is not None and np.isfinite(found.expected_objective)


def test_only_values_that_are_not_finite() -> None:
    [found] = analysed(cell().assign(objective=np.nan)).cells
    assert found.family is None and found.phi is None
    assert found.verdict == "thin"


def test_rows_that_stand_there_twice_count_once() -> None:
    rows = cell()
    once, twice = analysed(rows), analysed(pd.concat([rows, rows], ignore_index=True))
    assert once.to_json() == twice.to_json()
