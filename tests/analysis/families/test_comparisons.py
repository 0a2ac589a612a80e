"""All comparisons, from one table."""

import json
from typing import get_args

import pandas as pd
import pytest

from phitune.analysis.families.comparisons import Comparisons, compare
from phitune.analysis.families.refusal import Reason
from phitune.analysis.guidelines import build
from phitune.analysis.report.words.refusals import CLAUSES, comparisons_dict
from tests.analysis.synthetic_cells import cell
from tests.analysis.synthetic_study import PHI_RANGE, Recipe, table

BUDGETS = (50, 100, 200, 400)


def compared(rows: pd.DataFrame) -> Comparisons:
    return build(rows, None, {"phi": PHI_RANGE}).comparisons


@pytest.fixture(scope="module")
def searched() -> pd.DataFrame:
    return pd.concat([table(Recipe(100, 1.0, budget), seed=1) for budget in BUDGETS], ignore_index=True)


def test_one_call_gives_all_of_it_as_strict_json(searched: pd.DataFrame) -> None:
    comparisons = compared(searched)
    values = json.loads(json.dumps(comparisons_dict(comparisons), allow_nan=False))
    assert set(values) == {"ranks", "scores", "tuning_curves", "budget_saved"}
    assert [budget for _, _, budget in comparisons.cells] == list(BUDGETS)
    assert len(comparisons.tuning_curves) == len(BUDGETS) * 4
    assert comparisons.ranks.cells == comparisons.scores.cells == len(BUDGETS)
    assert {(s.baseline, s.family) for s in comparisons.budget_saved} == {
        ("cosine", "uba"), ("cosine", "linear"), ("cosine", "step"),
        ("linear", "uba"), ("linear", "cosine"), ("linear", "step"),
    }  # fmt: skip


def test_uba_saves_budget_on_the_quadratic(searched: pd.DataFrame) -> None:
    """Its phi grows with the budget there, cosine's cannot (docs/method/quadratic.md)."""
    late = [
        s for s in compared(searched).budget_saved if s.family == "uba" and s.baseline == "cosine" and s.budget > 50
    ]
    for one in late:
        assert one.percent is not None and one.phi is not None and one.phi > 2.0
        assert one.percent < 100 or (one.percent, one.bound) == (100, "less than")


def test_the_same_table_gives_the_same_figures(searched: pd.DataFrame) -> None:
    first = compared(searched)
    assert compare(searched, first.cells) == first


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(cell({"uba": [0.5, 0.6]}), id="one family"),
        pytest.param(cell({"uba": [0.5], "linear": [0.6]}), id="one seed"),
        pytest.param(cell({"uba": [0.5, 0.5], "linear": [0.5, 0.5]}), id="constant metric"),
        pytest.param(cell({"uba": [0.5, 0.6]}).assign(status="diverged", objective=float("nan")), id="all diverged"),
    ],
)
def test_poor_evidence_gives_reasons_in_place_of_figures(rows: pd.DataFrame) -> None:
    comparisons = compared(rows)
    assert comparisons.ranks.why_not and comparisons.ranks.p_value is None
    assert all(curve.why_not and not curve.best for curve in comparisons.tuning_curves)
    assert all(saving.why_not and saving.percent is None for saving in comparisons.budget_saved)
    assert bool(comparisons.scores.families) == (comparisons.scores.why_not is None)
    values = comparisons_dict(comparisons)
    assert "{" not in values["ranks"]["why_not"]
    assert all(
        curve["why_not"].startswith(("a tuning curve needs 5", "no explore")) for curve in values["tuning_curves"]
    )


def test_every_reason_has_its_words() -> None:
    assert set(CLAUSES) == set(get_args(Reason))
