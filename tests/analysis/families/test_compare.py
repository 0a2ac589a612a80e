"""Families: paired by seed, chosen on explore, judged on replicates."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from phitune.analysis.families.compare import compare_cell
from phitune.analysis.families.ranks import rank_families
from tests.analysis.made_study import Recipe, table
from tests.analysis.quadratic_twin import expected_loss


def test_gain_is_the_paired_mean_with_scipys_t_interval() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=5), seed=1)
    found = compare_cell(rows)
    step, cosine = found.get("step"), found.get("cosine")
    assert step is not None and cosine is not None and found.evidence == "replicates"
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
    found = compare_cell(pd.concat([rows[rows["phase"] == "explore"], *copies]))
    uba = found.get("uba")
    assert uba is not None and uba.gains["cosine"].certain


def test_without_replicates_it_says_that_the_figures_are_biased() -> None:
    found = compare_cell(table(Recipe(100, 1.0, 200, replicates=0), seed=1))
    assert found.evidence == "explore"
    assert all(g.interval is None and g.evidence == "explore" for f in found.families for g in f.gains.values())


def test_deterministic_workloads_are_compared_exactly() -> None:
    recipe = Recipe(100, 1.0, 200, noise=0.0)
    found = compare_cell(table(recipe, seed=1))
    uba, cosine = found.get("uba"), found.get("cosine")
    assert uba is not None and cosine is not None
    true = [
        float(expected_loss(100, 1.0, 200, np.array([f.phi or 2.0]), np.array([f.base_lr]), f.family)[0])
        for f in (uba, cosine)
    ]
    assert found.evidence == "exact"
    assert uba.gains["cosine"].percent == pytest.approx(100 * (true[1] - true[0]) / true[1])


def test_best_family_stands_first_and_ranks_average() -> None:
    found = [compare_cell(table(Recipe(100, 1.0, t), seed=1)) for t in (100, 200)]
    for comparison in found:
        values = [f.objective for f in comparison.families]
        assert values == sorted(values)
    ranks = rank_families(found).ranks
    positions = {f: np.mean([[x.family for x in c.families].index(f) + 1 for c in found]) for f in ranks}
    assert ranks == pytest.approx(positions)


def test_a_family_whose_best_trial_diverges_on_a_fresh_seed_is_set_aside() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=3), seed=1)
    winner = compare_cell(rows).families[0]
    unlucky = rows[rows["finalist"] == winner.trial_id].index[0]
    rows.loc[unlucky, ["status", "objective"]] = ["diverged", np.nan]
    found = compare_cell(rows)
    assert found.set_aside == (winner.family,)
    assert found.get(winner.family) is None
    assert found.evidence == "replicates"


def test_of_equally_good_trials_the_replicated_one_stands_for_its_family() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=3), seed=1)
    linear = next(f for f in compare_cell(rows).families if f.family == "linear")
    twin = rows[rows["trial_id"] == linear.trial_id].assign(trial_id="0-sorts-first")
    found = compare_cell(pd.concat([twin, rows], ignore_index=True))
    assert found.evidence == "replicates"
    assert {f.family: f.trial_id for f in found.families}["linear"] == linear.trial_id
