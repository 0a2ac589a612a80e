"""Families: paired by seed, chosen on explore, judged on replicates."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from phitune.analysis.families.compare import compare_cell
from phitune.analysis.families.ranks import rank_families
from tests.analysis.quadratic_twin import expected_loss
from tests.analysis.synthetic_study import Recipe, table


def test_gain_is_the_paired_mean_with_scipys_t_interval() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=5), seed=1)
    comparison = compare_cell(rows)
    step, cosine = comparison.get("step"), comparison.get("cosine")
    assert step is not None and cosine is not None and comparison.evidence == "replicates"
    mine, other = (
        rows[rows["finalist"] == f.trial_id].sort_values("seed")["objective"].to_numpy(dtype=float)
        for f in (step, cosine)
    )
    interval = ttest_rel(other, mine).confidence_interval(0.9)
    gain = step.gains["cosine"]
    assert gain.n == 5 and gain.interval is not None
    assert gain.percent == pytest.approx(100 * np.mean(other - mine) / other.mean())
    assert gain.interval == pytest.approx((100 * interval.low / other.mean(), 100 * interval.high / other.mean()))


def test_pairing_takes_the_seeds_own_luck_away() -> None:
    """Both families share a large seed effect; unpaired, their difference would drown in it."""
    rows = table(Recipe(100, 1.0, 200, replicates=4, noise=0.0, stop=False), seed=1).assign(deterministic=False)
    one = rows[rows["phase"] == "replicate"]
    copies = [
        one.assign(seed=s, objective=one["objective"] * (1 + 0.5 * s), trial_id=one["trial_id"] + f"-{s}")
        for s in range(4)
    ]
    uba = compare_cell(pd.concat([rows[rows["phase"] == "explore"], *copies])).get("uba")
    assert uba is not None and uba.gains["cosine"].certain


def test_without_replicates_the_evidence_is_explore_and_gains_have_no_interval() -> None:
    comparison = compare_cell(table(Recipe(100, 1.0, 200, replicates=0), seed=1))
    assert comparison.evidence == "explore"
    assert all(g.interval is None and g.evidence == "explore" for f in comparison.families for g in f.gains.values())


def test_deterministic_workloads_are_compared_exactly() -> None:
    recipe = Recipe(100, 1.0, 200, noise=0.0)
    comparison = compare_cell(table(recipe, seed=1))
    uba, cosine = comparison.get("uba"), comparison.get("cosine")
    assert uba is not None and cosine is not None
    losses = [
        float(expected_loss(100, 1.0, 200, np.array([f.phi or 2.0]), np.array([f.base_lr]), f.family)[0])
        for f in (uba, cosine)
    ]
    assert comparison.evidence == "exact"
    assert uba.gains["cosine"].percent == pytest.approx(100 * (losses[1] - losses[0]) / losses[1])


def test_the_best_family_is_first_and_ranks_are_means() -> None:
    comparisons = [compare_cell(table(Recipe(100, 1.0, t), seed=1)) for t in (100, 200)]
    for comparison in comparisons:
        values = [f.objective for f in comparison.families]
        assert values == sorted(values)
    ranks = rank_families(comparisons).ranks
    positions = {f: np.mean([[x.family for x in c.families].index(f) + 1 for c in comparisons]) for f in ranks}
    assert ranks == pytest.approx(positions)


def test_a_family_whose_best_trial_diverges_on_a_fresh_seed_is_set_aside() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=3), seed=1)
    winner = compare_cell(rows).families[0]
    unlucky = rows[rows["finalist"] == winner.trial_id].index[0]
    rows.loc[unlucky, ["status", "objective"]] = ["diverged", np.nan]
    comparison = compare_cell(rows)
    assert comparison.set_aside == (winner.family,)
    assert comparison.get(winner.family) is None
    assert comparison.evidence == "replicates"


def test_of_equally_good_trials_the_replicated_one_is_the_finalist() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=3), seed=1)
    linear = next(f for f in compare_cell(rows).families if f.family == "linear")
    twin = rows[rows["trial_id"] == linear.trial_id].assign(trial_id="0-sorts-first")
    comparison = compare_cell(pd.concat([twin, rows], ignore_index=True))
    assert comparison.evidence == "replicates"
    assert {f.family: f.trial_id for f in comparison.families}["linear"] == linear.trial_id
