"""Interquartile means and profiles: against scipy, and how often their intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import trim_mean

from analysis.compare import compare_cell
from analysis.scores import fitted_runs, interquartile_mean, run_scores, score_families
from tests.analysis.made_cells import cell


def test_equal_weights_give_scipys_trimmed_mean() -> None:
    scores = np.random.default_rng(0).uniform(size=(5, 24))
    assert interquartile_mean(scores, np.ones(24)) == pytest.approx(trim_mean(scores, 0.25, axis=1))


def test_a_weight_of_two_is_two_equal_scores() -> None:
    scores = np.array([0.1, 0.5, 0.7, 0.9, 1.0])
    doubled = np.concatenate([scores, scores[[1, 3]]])
    weights = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    assert interquartile_mean(scores, weights) == pytest.approx(interquartile_mean(doubled, np.ones(7)))


def scores_of(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    return run_scores({name: v.to_numpy() for name, v in fitted_runs(rows, compare_cell(rows)).items()})


def test_a_score_is_the_ratio_of_losses_and_of_errors() -> None:
    scores = scores_of(cell({"uba": [0.5, 0.5], "linear": [0.625, 0.625]}))
    assert scores["linear"] == pytest.approx([0.8, 0.8]) and scores["uba"] == pytest.approx([1, 1])
    scores = scores_of(cell({"uba": [0.9, 0.9], "linear": [0.8, 0.8]}, mode="max"))
    assert scores["linear"] == pytest.approx([0.5, 0.5], abs=0.01)


def test_profiles_fall_and_hold_what_diverged_at_nought() -> None:
    cells = [cell({"uba": [0.5, 0.51], "linear": [0.6, 0.6]}, workload=f"w{i}") for i in range(3)]
    cells.append(cell({"uba": [0.5, 0.51], "linear": [0.6, 0.6]}, workload="w3", diverged=["uba"]))
    found = score_families([(rows, compare_cell(rows)) for rows in cells])
    uba = next(f for f in found.families if f.family == "uba")
    assert found.cells == 4 and uba.profile[0] == pytest.approx(0.75)
    assert all(a >= b for a, b in zip(uba.profile, uba.profile[1:], strict=False))
    assert all(low <= p <= high for low, p, high in zip(uba.profile_low, uba.profile, uba.profile_high, strict=True))


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(seeds: int) -> None:
    """Eight cells, few seeds that the families share with half of their luck."""
    rng = np.random.default_rng(seeds)
    means = {"uba": np.full(8, 0.5), "linear": 0.56 + 0.01 * np.arange(8)}
    cells = [cell({"uba": [0.5] * seeds, "linear": [0.6] * seeds}, workload=f"w{i}") for i in range(8)]
    made = [(rows, compare_cell(rows)) for rows in cells]
    luck = 0.05 * rng.standard_normal((8, 100_000))
    truth = interquartile_mean((0.5 / means["linear"][:, None] * np.exp(luck)).ravel(), np.ones(800_000))
    held = []
    for _ in range(60):
        for i, (rows, _) in enumerate(made):
            shared = rng.standard_normal(seeds)
            for family, mean in means.items():
                at = (rows["family"] == family) & (rows["phase"] == "replicate")
                own = np.sqrt(0.5) * (shared + rng.standard_normal(seeds))
                rows.loc[at, "objective"] = mean[i] * np.exp(0.05 * own)
        low, high = next(f for f in score_families(made).families if f.family == "linear").interval
        held.append(low <= truth <= high)
    assert 0.82 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"uba": [0.5, 0.6]}, "there is one"),
        ({"uba": [0.5], "linear": [0.6]}, "no cell has two fresh seeds of every family"),
    ],
)
def test_without_ground_there_is_no_score(values: dict[str, list[float]], why: str) -> None:
    rows = cell(values)
    found = score_families([(rows, compare_cell(rows))])
    assert found.why_not is not None and why in found.why_not and found.families == () and found.left_out == 1
