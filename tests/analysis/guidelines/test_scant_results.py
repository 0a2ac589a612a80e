"""Results from which little or nothing follows: a clear statement, never a number without ground."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.guidelines import CellGuideline, Guidelines, build
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.words.cells import summary_table
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.trends import model_lines, validation_lines, warning_lines
from phitune.analysis.report.words.verdicts import family_reason
from tests.analysis.synthetic_study import PHI_RANGE, Recipe, table


def rows(**changes: Any) -> pd.DataFrame:
    """Trials of one small cell."""
    return table(Recipe(**{"kappa": 10, "c": 1.0, "budget": 60, "uba": 16, "others": 3, "replicates": 2, **changes}))


def analyse(trials: pd.DataFrame) -> Guidelines:
    """The guidelines, once all words about them are written and free of NaN and None."""
    guidelines = build(trials, None, {"phi": PHI_RANGE})
    lines = [*headlines(guidelines), *model_lines(guidelines)]
    lines += [*validation_lines(guidelines), *warning_lines(guidelines)]
    assert not any("nan" in line or "None" in line for line in lines)
    assert "nan" not in str(summary_table(guidelines))
    json.loads(guidelines_json(guidelines))
    return guidelines


def only_cell(trials: pd.DataFrame) -> CellGuideline:
    """The guideline of trials of one cell."""
    [cell] = analyse(trials).cells
    return cell


@pytest.fixture(scope="module")
def one_cell() -> Guidelines:
    return analyse(rows())


def test_all_diverged() -> None:
    cell = only_cell(rows().assign(status="diverged", objective=np.nan))
    assert cell.family is None and cell.phi is None and cell.base_lr is None and cell.schedule is None
    assert cell.family_verdict == "none completed" and family_reason(cell) == "no trial completed"


def test_nothing_completed() -> None:
    cell = only_cell(rows().assign(status="stopped", objective=np.nan))
    assert cell.family is None and cell.expected_metric is None and cell.expected_objective is None


def test_one_budget_gives_no_trend_and_nothing_to_validate(one_cell: Guidelines) -> None:
    phi = next(m for m in one_cell.models if m.quantity == "phi")
    assert phi.kind == "constant" and phi.slope_interval is None
    assert (phi.verdict, phi.located_budgets) == ("few budgets", 1)
    assert "needs 4 budgets" in model_lines(one_cell)[0]
    assert all(each["n"] == 0 for each in one_cell.validation.values())
    written = json.loads(guidelines_json(one_cell))
    assert all(each["note"] == "not enough cells" for each in written["validation"].values())
    assert all("needs 4 budgets" in each["reason"] for each in written["models"])


def test_one_family_that_is_not_uba() -> None:
    trials = rows()
    guidelines = analyse(trials[trials["family"] == "linear"])
    assert guidelines.cells[0].verdict == "absent" and guidelines.cells[0].phi is None
    assert guidelines.cells[0].shapes == () and guidelines.models == () and guidelines.main is None


def test_uba_alone() -> None:
    trials = rows()
    cell = only_cell(trials[trials["family"] == "uba"])
    assert cell.family == "uba" and cell.family_verdict == "uba best" and not cell.gains


def test_phi_does_not_matter_to_a_constant_metric() -> None:
    cell = only_cell(rows(stop=False).assign(objective=1.0, val_loss=1.0))
    assert cell.verdict == "flat"
    assert cell.expected_objective == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_ignored(value: float) -> None:
    trials = rows()
    trials.loc[trials["objective"].nlargest(3).index, "objective"] = value
    cell = only_cell(trials)
    assert cell.phi is not None and cell.expected_objective is not None and np.isfinite(cell.expected_objective)


def test_only_values_that_are_not_finite() -> None:
    cell = only_cell(rows().assign(objective=np.nan))
    assert cell.family is None and cell.phi is None
    assert cell.verdict == "thin"


def test_repeated_rows_count_once(one_cell: Guidelines) -> None:
    trials = rows()
    repeated = analyse(pd.concat([trials, trials], ignore_index=True))
    assert guidelines_json(repeated) == guidelines_json(one_cell)
