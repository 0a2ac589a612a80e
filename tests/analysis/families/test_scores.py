"""Interquartile means and profiles: against SciPy, and the coverage of their intervals."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.stats import trim_mean

from phitune.analysis.families.refusal import Refusal
from phitune.analysis.families.scores import FamilyScore, fitted_runs, interquartile_mean, run_scores, score_families
from tests.analysis.synthetic_cells import cell


def test_equal_weights_give_scipys_trimmed_mean() -> None:
    scores = np.random.default_rng(0).uniform(size=(5, 24))
    assert interquartile_mean(scores, np.ones(24)) == pytest.approx(trim_mean(scores, 0.25, axis=1))


def test_a_weight_of_two_is_two_equal_scores() -> None:
    scores = np.array([0.1, 0.5, 0.7, 0.9, 1.0])
    doubled = np.concatenate([scores, scores[[1, 3]]])
    weights = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    assert interquartile_mean(scores, weights) == pytest.approx(interquartile_mean(doubled, np.ones(7)))


def scores_of(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    return run_scores({name: v.to_numpy() for name, v in fitted_runs(rows).items()})


def test_a_score_is_the_ratio_of_losses_and_of_errors() -> None:
    scores = scores_of(cell({"uba": [0.5, 0.5], "linear": [0.625, 0.625]}))
    assert scores["linear"] == pytest.approx([0.8, 0.8]) and scores["uba"] == pytest.approx([1, 1])
    scores = scores_of(cell({"uba": [0.9, 0.9], "linear": [0.8, 0.8]}, mode="max"))
    assert scores["linear"] == pytest.approx([0.5, 0.5], abs=0.01)


def test_cells_whose_objective_crosses_zero_are_scored_only_among_themselves() -> None:
    usual = cell({"uba": [0.5, 0.5], "linear": [0.625, 0.625]})
    crossing = cell({"uba": [-0.5, -0.5], "linear": [0.5, 0.5]}, workload="crossing")
    mixed, alone = score_families([usual, crossing, crossing]), score_families([crossing])
    assert (mixed.cells, mixed.left_out, alone.cells) == (1, 2, 1)
    assert {each.family: each.iqm for each in mixed.families} == pytest.approx({"uba": 1.0, "linear": 0.8})
    # The spread is the median less the best, 0.5.
    assert {each.family: each.iqm for each in alone.families} == pytest.approx({"uba": 1.0, "linear": np.exp(-2.0)})


def test_profiles_fall_and_diverged_runs_score_zero() -> None:
    cells = [cell({"uba": [0.5, 0.51], "linear": [0.6, 0.6]}, workload=f"w{i}") for i in range(3)]
    cells.append(cell({"uba": [0.5, 0.51], "linear": [0.6, 0.6]}, workload="w3", diverged=["uba"]))
    scores = score_families(cells)
    uba = next(f for f in scores.families if f.family == "uba")
    assert scores.cells == 4 and uba.profile[0] == pytest.approx(0.875)
    assert all(a >= b for a, b in zip(uba.profile, uba.profile[1:], strict=False))
    assert all(low <= p <= high for low, p, high in zip(uba.profile_low, uba.profile, uba.profile_high, strict=True))


NOISE = 0.05
LONG = [pytest.param(*case, 300, marks=pytest.mark.slow) for case in ((2, 4), (2, 8), (3, 8), (5, 8))]


def repeated(linear: np.ndarray, seeds: int, runs: int) -> Iterator[dict[str, FamilyScore]]:
    """Scores of fresh seeds, half of whose luck both families share; UBA's mean is 0.5 in every cell."""
    rng = np.random.default_rng(seeds)
    cells = [cell({"uba": [0.5] * seeds, "linear": [0.6] * seeds}, workload=f"w{i}") for i in range(len(linear))]
    for _ in range(runs):
        for rows, mean in zip(cells, linear, strict=True):
            shared = rng.standard_normal(seeds)
            for family, center in (("uba", 0.5), ("linear", mean)):
                at = (rows["family"] == family) & (rows["phase"] == "replicate")
                own = np.sqrt(0.5) * (shared + rng.standard_normal(seeds))
                rows.loc[at, "objective"] = center * np.exp(NOISE * own)
        yield {f.family: f for f in score_families(cells).families}


@pytest.mark.parametrize(("seeds", "cells", "runs"), [(2, 8, 60), (5, 8, 60), *LONG])
def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(seeds: int, cells: int, runs: int) -> None:
    """Of a family that is behind by 12 to 26 %."""
    means = 0.56 + 0.07 * np.linspace(0.0, 1.0, cells)
    luck = NOISE * np.random.default_rng(0).standard_normal((cells, 50_000))
    truth = interquartile_mean((0.5 / means[:, None] * np.exp(luck)).ravel(), np.ones(luck.size))
    intervals = [scores["linear"].interval for scores in repeated(means, seeds, runs)]
    # Four standard errors of the share; bootstraps of an interquartile mean are a little off.
    assert np.mean([low <= truth <= high for low, high in intervals]) == pytest.approx(0.9, abs=0.03 + 1.2 / runs**0.5)


def test_equal_families_score_below_one_and_by_the_same() -> None:
    """The cell's best is a lucky one: the score cannot be compared with 1, families can be with each other."""
    draws = list(repeated(np.full(8, 0.5), 3, 80))
    apart = np.array([scores["uba"].iqm - scores["linear"].iqm for scores in draws])
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(len(apart))
    assert 0.97 < np.mean([scores["uba"].iqm for scores in draws]) < 0.995


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"uba": [0.5, 0.6]}, Refusal("one family")),
        ({"uba": [0.5], "linear": [0.6]}, Refusal("few seeds")),
    ],
)
def test_without_enough_evidence_there_is_no_score(values: dict[str, list[float]], why: Refusal) -> None:
    rows = cell(values)
    scores = score_families([rows])
    assert scores.why_not == why and scores.families == () and scores.left_out == 1
