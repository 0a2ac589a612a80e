"""The report's first lines: warnings before advice, and no advice without ground."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from analysis.budget_saved import BudgetSaved
from analysis.guidelines import Guidelines, build
from analysis.headlines import answer_lines, evidence_lines, headlines
from analysis.wording import saved_text
from tests.analysis.made_study import Recipe, table


@pytest.fixture(scope="module")
def replicated() -> Guidelines:
    recipes = [Recipe(100, 1.0, budget, uba=24, others=5) for budget in (100, 200, 400)]
    return build(pd.concat([table(r) for r in recipes], ignore_index=True))


def test_one_workload_is_said_not_to_be_checked_on_another(replicated: Guidelines) -> None:
    lines = evidence_lines(replicated)
    assert any(line.startswith("Workload left out: not checked") for line in lines)
    assert not any("single runs" in line for line in lines)


def test_a_guideline_that_does_not_beat_the_constant_is_said_first(replicated: Guidelines) -> None:
    validation = {
        **replicated.validation,
        "leave_largest_budget_out": {"n": 3, "gain_over_constant": {"mean": -1.0, "low": -2.0, "high": -0.5}},
    }
    first = headlines(replace(replicated, validation=validation))[0]
    assert "does worse than φ = 2" in first and "-1 % [-2, -0.5]" in first


def test_advice_names_family_and_what_it_gains_at_the_largest_budget(replicated: Guidelines) -> None:
    (line,) = answer_lines(replicated)
    last = replicated.cells[-1]
    assert line.startswith("quadratic(kappa=100,noise=1) with sgd: use ")
    assert f"At 400 iterations {last.family} gains" in line
    known = {s.budget: s for s in replicated.comparisons.budget_saved if s.family == last.family and not s.bound}
    told = re.search(r"At (\d+) (\w+) reaches linear's quality in ([^%]+ %)", line)
    assert told is not None and told[2] == last.family and saved_text(known[int(told[1])]).startswith(told[3])


def test_without_replicates_the_evidence_is_called_thin() -> None:
    found = build(table(Recipe(100, 1.0, 100, uba=4, others=1, stop=False, replicates=0)))
    assert evidence_lines(found)[0].startswith("The evidence is thin: in 1 of 1 cells")
    assert "too few trials to say which φ is best" in answer_lines(found)[0]


@pytest.mark.parametrize(
    ("percent", "bound", "interval", "text"),
    [
        (87.2, None, (81.0, 93.4), "87.2 % [81, 93.4]"),
        (50.0, "less than", (None, 60.0), "< 50 % [?, 60]"),
        (250.0, "more than", (180.0, None), "> 250 % [180, ?]"),
        (None, None, None, "–"),
    ],
)
def test_budget_saved_is_said_with_its_bound_and_interval(percent, bound, interval, text) -> None:  # type: ignore[no-untyped-def]
    saved = BudgetSaved("w", "sgd", 100, "uba", 1.0, "linear", percent, bound, interval, 3, 4, None)
    assert saved_text(saved) == text
