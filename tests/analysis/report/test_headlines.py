"""The report's sentences: the answers first, each claim as sure as its evidence, then what limits them."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.words.gains import gain_short, gain_text, payoff, saved_short, saved_text
from phitune.analysis.report.words.headlines import answer_lines, evidence_lines, headlines
from tests.analysis.synthetic_study import Recipe, table


@pytest.fixture(scope="module")
def replicated() -> Guidelines:
    recipes = [Recipe(100, 1.0, budget, uba=24, others=5) for budget in (100, 200, 400)]
    return build(pd.concat([table(r) for r in recipes], ignore_index=True))


def test_with_one_workload_the_missing_check_on_another_is_reported(replicated: Guidelines) -> None:
    lines = headlines(replicated)
    assert any(line.startswith("Workload left out: not checked") for line in lines)
    assert not any("fresh seeds" in line for line in lines)


def test_that_the_guideline_does_not_beat_the_constant_is_said_after_the_answers(replicated: Guidelines) -> None:
    score: dict[str, object] = {"n": 3, "family": "uba", "parameter": "phi", "usual": ("cosine", 2.0), "relative": True}
    score["rows"] = [{"workload": "a"}, {"workload": "b"}, {"workload": "b"}]

    def said(gain: dict[str, float]) -> list[str]:
        left_out = {"leave_largest_budget_out": {**score, "gain_over_constant": gain}}
        answer, *limits = headlines(replace(replicated, validation={**replicated.validation, **left_out}))
        assert answer == answer_lines(replicated)[0]
        return limits

    worse = said({"mean": -1.0, "low": -2.0, "high": -0.5})
    assert any("does worse than φ = 2" in line and "-1 % [-2, -0.5]" in line for line in worse)
    nothing = said({"mean": 1518.0, "low": -7861.0, "high": 10896.0})
    assert any(line.endswith("φ = 2 (cosine) cannot be told from 2 workloads.") for line in nothing)


def test_advice_names_family_and_what_it_gains_at_the_largest_budget(replicated: Guidelines) -> None:
    (line,) = answer_lines(replicated)
    last = replicated.cells[-1]
    assert line.startswith("quadratic(kappa=100,noise=1) with sgd: use ")
    assert last.gains and all(f"{gain_text(gain)} over {base}" in line for base, gain in last.gains.items())
    known = {s.budget: s for s in replicated.comparisons.budget_saved if s.family == last.family and not s.bound}
    saving = re.search(r"At (\d+) (\w+) reaches linear's quality in ([^%]+ %)", line)
    assert saving is not None and saving[2] == last.family
    assert saved_text(known[int(saving[1])]).startswith(saving[3])


def _gain(percent: float, interval: tuple[float, float], probability: float, relative: bool = True) -> Gain:
    return Gain(percent, interval, probability, relative)


@pytest.mark.parametrize(
    ("gains", "sentence"),
    [
        ({"linear": _gain(3.0, (1.0, 5.0), 0.99)}, "uba clearly gains +3 % [+1, +5] over linear."),
        (
            {"linear": _gain(-26.0, (-56.0, 4.2), 0.3)},
            "uba cannot be told apart: -26 % [-56, +4.2] over linear.",
        ),
        ({"linear": _gain(-5.0, (-6.0, -4.0), 0.001)}, "uba is clearly worse: -5 % [-6, -4] over linear."),
        ({"linear": _gain(-5.0, (-9.0, 1.0), 0.15)}, "uba is likely worse: -5 % [-9, +1] over linear."),
        (
            {"linear": _gain(0.09, (0.05, 0.12), 0.99, relative=False)},
            "uba clearly gains 0.09 [0.05, 0.12] over linear.",
        ),
        (
            {"cosine": _gain(4.0, (-3.0, 11.0), 0.85), "linear": _gain(12.0, (2.7, 21.0), 0.97)},
            "uba clearly gains +12 % [+2.7, +21] over linear; it likely gains +4 % [-3, +11] over cosine.",
        ),
        ({}, ""),
    ],
)
def test_a_gain_is_claimed_as_surely_as_its_sign_is_known(
    replicated: Guidelines, gains: dict[str, Gain], sentence: str
) -> None:
    text = payoff(replace(replicated.cells[-1], family="uba", gains=gains))
    assert text == (f"At 400 iterations {sentence}" if sentence else "")


@pytest.mark.parametrize(
    ("probability", "interval", "word"),
    [
        (0.97, (0.1, 5.0), "clear"),
        (0.03, (-5.0, -0.1), "clear"),
        (0.97, (0.0, 5.0), "likely"),
        (0.8, (-1.0, 5.0), "likely"),
        (0.2, (-5.0, 1.0), "likely"),
        (0.79, (-1.0, 5.0), "cannot tell"),
    ],
)
def test_how_sure_a_gain_is_follows_from_its_probability_and_interval(
    probability: float, interval: tuple[float, float], word: str
) -> None:
    gain = _gain(sum(interval) / 2, interval, probability)
    assert gain.sureness == word
    assert gain.certain or word != "clear"
    assert gain_short(gain).endswith(word) and ("%" in gain_short(gain)) == (word != "cannot tell")


def test_without_replicates_the_evidence_is_called_thin() -> None:
    guidelines = build(table(Recipe(100, 1.0, 100, uba=4, others=1, stop=False, replicates=0)))
    assert evidence_lines(guidelines)[0].startswith("The evidence is thin: in 1 of 1 cells")
    assert "too few trials to say which φ is best" in answer_lines(guidelines)[0]


@pytest.mark.parametrize(
    ("percent", "bound", "interval", "text"),
    [
        (87.2, None, (81.0, 93.4), "87.2 % [81, 93.4]"),
        (50.0, "less than", (None, 60.0), "under 50 % [at most 60]"),
        (250.0, "more than", (180.0, None), "over 250 % [at least 180]"),
        (112.0, None, (None, None), "112 %"),
        (None, None, None, "–"),
    ],
)
def test_budget_saved_has_its_bound_and_interval(percent, bound, interval, text) -> None:  # type: ignore[no-untyped-def]
    saved = BudgetSaved("w", "sgd", 100, "uba", 1.0, "linear", percent, bound, interval, 4, None)
    assert saved_text(saved) == text


@pytest.mark.parametrize(
    ("percent", "bound", "gain", "text"),
    [
        (92.0, None, _gain(3.0, (1.0, 5.0), 0.99), "8 % fewer"),
        (100.0, None, _gain(3.0, (1.0, 5.0), 0.99), "not fewer"),
        (108.0, None, _gain(-3.0, (-5.0, -1.0), 0.01), "8 % more"),
        (100.0, "less than", _gain(3.0, (1.0, 5.0), 0.99), "fewer"),
        (60.0, "less than", _gain(3.0, (1.0, 5.0), 0.99), "over 40 % fewer"),
        (92.0, None, _gain(3.0, (-4.0, 9.0), 0.7), ""),
        (92.0, None, None, ""),
        (None, None, _gain(3.0, (1.0, 5.0), 0.99), ""),
    ],
)
def test_iterations_saved_are_said_only_where_the_gain_can_be_told(percent, bound, gain, text) -> None:  # type: ignore[no-untyped-def]
    saved = BudgetSaved("w", "sgd", 100, "uba", 1.0, "linear", percent, bound, None, 4, None)
    assert saved_short(saved, gain) == text
