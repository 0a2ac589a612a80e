"""Budget saved: correct where the answer is known, refused or bounded where the evidence ends."""

from typing import Any

import numpy as np
import pytest

from phitune.analysis.families.budget_curve import decreasing
from phitune.analysis.families.budget_saved import BudgetSaved, budget_saved
from phitune.analysis.families.compare import compare_cell
from phitune.analysis.families.refusal import Refusal
from tests.analysis.synthetic_cells import cell

BUDGETS = (50, 100, 200, 400)
SHARE = 0.8


def quality(budget: float) -> float:
    return 3.0 * budget**-0.5


def saved(seeds: int = 3, noise: float = 0.0, seed: int = 0, share: float = SHARE, **columns: Any) -> list[BudgetSaved]:
    """UBA reaches in `share` of the iterations what linear reaches; seeds carry shared luck."""
    rng = np.random.default_rng(seed)
    cells = []
    for budget in BUDGETS:
        luck = rng.standard_normal(seeds)
        runs = {
            family: [quality(at) * float(np.exp(noise * (0.8 * k + 0.6 * rng.standard_normal()))) for k in luck]
            for family, at in (("uba", budget / share), ("linear", budget))
        }
        cells.append(cell(runs, budget=budget, **columns))
    return list(budget_saved([(rows, compare_cell(rows)) for rows in cells], seed))


def test_monotone_curves_follow_the_minimax_formula() -> None:
    """Isotonic regression at i: the smallest over j <= i of the largest over k >= i of the mean from j to k."""
    curves = np.random.default_rng(0).standard_normal((20, 6))
    for curve, monotone in zip(curves, decreasing(curves), strict=True):
        for i, value in enumerate(monotone):
            assert value == pytest.approx(
                min(max(curve[j : k + 1].mean() for k in range(i, 6)) for j in range(i + 1)), abs=1e-12
            )


def test_a_power_law_is_inverted_exactly() -> None:
    savings = saved(deterministic=True)
    assert [s.budget for s in savings] == list(BUDGETS) and {s.baseline for s in savings} == {"linear"}
    for one in savings[:-1]:
        assert one.percent == pytest.approx(100 * SHARE) and one.bound is None
        assert one.interval == pytest.approx((100 * SHARE, 100 * SHARE)) and one.phi == 2.0


def test_beyond_the_largest_budget_it_says_less_than() -> None:
    last = saved(noise=0.01)[-1]
    assert (last.percent, last.bound) == (100.0, "less than")
    assert last.interval == (None, 100.0)


def test_worse_than_the_smallest_budget_it_says_more_than() -> None:
    first = saved(noise=0.01, share=1.5)[0]
    assert (first.percent, first.bound) == (100.0, "more than")
    assert first.interval == (100.0, None)


@pytest.mark.parametrize(
    ("seeds", "noise", "runs"),
    [
        (3, 0.04, 40),
        *(pytest.param(*case, 400, marks=pytest.mark.slow) for case in ((2, 0.04), (3, 0.04), (3, 0.1), (5, 0.04))),
    ],
)
def test_the_interval_holds_the_truth_about_as_often_as_it_says(seeds: int, noise: float, runs: int) -> None:
    """At each budget within the baseline's range; most of the seeds' noise is shared."""
    held: dict[int, list[bool]] = {budget: [] for budget in BUDGETS[:3]}
    for seed in range(runs):
        for one in saved(seeds=seeds, noise=noise, seed=seed)[:3]:
            assert one.seeds == seeds
            if one.interval is not None:
                low, high = one.interval
                held[one.budget].append((low is None or low <= 100 * SHARE) and (high is None or high >= 100 * SHARE))
    for covered in held.values():
        assert len(covered) > 0.9 * runs
        # Four standard errors of the share.
        assert np.mean(covered) == pytest.approx(0.9, abs=0.01 + 1.2 / np.sqrt(runs))


def test_one_seed_gives_no_figure() -> None:
    refusal = Refusal("few shared seeds", family="uba", baseline="linear")
    assert all(s.percent is None and s.interval is None and s.why_not == refusal for s in saved(seeds=1))


def test_seeds_that_are_not_shared_are_not_counted() -> None:
    rows = cell({"uba": [0.5, 0.6], "linear": [0.6, 0.7]})
    rows.loc[rows["family"] == "uba", "seed"] += 10
    [one] = budget_saved([(rows, compare_cell(rows))])
    assert one.seeds == 0


def test_one_budget_gives_no_figure() -> None:
    rows = cell({"uba": [0.5, 0.6], "linear": [0.6, 0.7]})
    (one,) = budget_saved([(rows, compare_cell(rows))])
    assert one.percent is None and one.why_not == Refusal("one budget", baseline="linear")


def test_a_constant_metric_gives_no_figure() -> None:
    cells = [cell({"uba": [0.5, 0.5], "linear": [0.5, 0.5]}, budget=b) for b in BUDGETS]
    savings = budget_saved([(rows, compare_cell(rows)) for rows in cells])
    refusal = Refusal("flat baseline", baseline="linear")
    assert savings and all(s.percent is None and s.why_not == refusal for s in savings)


def test_without_a_baseline_or_replicates_nothing_is_computed() -> None:
    rows = cell({"uba": [0.5, 0.6], "rex": [0.6, 0.7]})
    assert budget_saved([(rows, compare_cell(rows))]) == ()
    explore = cell({"uba": [0.5, 0.6], "linear": [0.6, 0.7]})
    explore = explore[explore["phase"] == "explore"]
    assert budget_saved([(explore, compare_cell(explore))]) == ()
