"""Budget saved: correct where the answer is known, refused or bounded where the evidence ends."""

import numpy as np
import pytest

from phitune.analysis.families.budget_curve import decreasing
from phitune.analysis.families.budget_saved import BudgetSaved, budget_saved
from phitune.analysis.families.compare import Comparison, FamilyResult
from phitune.analysis.families.refusal import Refusal
from phitune.analysis.surrogate.scale import Scale

BUDGETS = (50, 100, 200, 400)
SHARE = 0.8


def quality(budget: float) -> float:
    return 3.0 * budget**-0.5


def saved(
    noise: float = 0.0, seed: int = 0, share: float = SHARE, budgets: tuple[int, ...] = BUDGETS
) -> list[BudgetSaved]:
    """UBA reaches in `share` of the iterations what linear reaches; posteriors are honest, most of the error shared."""
    rng = np.random.default_rng(seed)
    cells = {}
    for budget in budgets:
        apart = noise * rng.standard_normal(2) @ MIXED
        draws = noise * rng.standard_normal((400, 2)) @ MIXED
        at = {"uba": quality(budget / share), "linear": quality(budget)}
        fitted = {name: np.log(at[name]) + apart[i] + draws[:, i] for i, name in enumerate(at)}
        cells["w", "sgd", budget] = compared(fitted)
    return list(budget_saved(cells, seed))


# Of the two families' errors, of variance 1 and correlation 0.64.
MIXED = np.linalg.cholesky(np.array([[1.0, 0.64], [0.64, 1.0]])).T


def compared(fitted: dict[str, np.ndarray]) -> Comparison:
    nan = float("nan")
    results = [
        FamilyResult(name, 2.0 if name == "uba" else None, 0.1, (0.1, 0.1), "{}", float(np.exp(np.median(v))),
                     (0.0, 1.0), nan, nan, 0, nan, 5, {})
        for name, v in fitted.items()
    ]  # fmt: skip
    return Comparison(tuple(results), fitted, Scale("log"))


def test_monotone_curves_follow_the_minimax_formula() -> None:
    """Isotonic regression at i: the smallest over j <= i of the largest over k >= i of the mean from j to k."""
    curves = np.random.default_rng(0).standard_normal((20, 6))
    for curve, monotone in zip(curves, decreasing(curves), strict=True):
        for i, value in enumerate(monotone):
            assert value == pytest.approx(
                min(max(curve[j : k + 1].mean() for k in range(i, 6)) for j in range(i + 1)), abs=1e-12
            )


def test_a_power_law_is_inverted_exactly() -> None:
    savings = saved()
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
    ("noise", "runs"),
    [(0.02, 60), *(pytest.param(noise, 400, marks=pytest.mark.slow) for noise in (0.02, 0.05))],
)
def test_the_interval_holds_the_truth_about_as_often_as_it_says(noise: float, runs: int) -> None:
    """At each budget within the baseline's range."""
    held: dict[int, list[bool]] = {budget: [] for budget in BUDGETS[:3]}
    for seed in range(runs):
        for one in saved(noise=noise, seed=seed)[:3]:
            if one.interval is not None:
                low, high = one.interval
                held[one.budget].append((low is None or low <= 100 * SHARE) and (high is None or high >= 100 * SHARE))
    for covered in held.values():
        assert len(covered) > 0.9 * runs
        # Four standard errors of the share.
        assert np.mean(covered) == pytest.approx(0.9, abs=0.02 + 1.2 / np.sqrt(runs))


def test_one_budget_gives_no_figure() -> None:
    (one,) = saved(budgets=(100,))
    assert one.percent is None and one.why_not == Refusal("one budget", baseline="linear")


def test_a_constant_metric_gives_no_figure() -> None:
    flat = {"uba": np.zeros(400), "linear": np.zeros(400)}
    savings = budget_saved({("w", "sgd", budget): compared(flat) for budget in BUDGETS})
    refusal = Refusal("flat baseline", baseline="linear")
    assert savings and all(s.percent is None and s.why_not == refusal for s in savings)


def test_without_a_baseline_nothing_is_computed() -> None:
    assert budget_saved({("w", "sgd", 100): compared({"uba": np.zeros(400), "rex": np.zeros(400)})}) == ()
