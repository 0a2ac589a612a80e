"""The median best of n: exact formula, simultaneous bands, effect of stopped and guided trials."""

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.families.refusal import Refusal
from phitune.analysis.families.tuning_curves import best_of, order_statistics_band, tuning_curves
from phitune.analysis.results import tidy


def trials(
    values: list[float], status: str = "", origin: str | None = "quasi-random", mode: str = "min"
) -> pd.DataFrame:
    letters = {"c": "completed", "s": "stopped", "d": "diverged"}
    kinds = [letters[s] for s in status or "c" * len(values)]
    table = pd.DataFrame({"objective": values, "status": kinds, "family": "uba", "phase": "explore", "budget": 100})
    table.loc[table["status"] != "completed", "objective"] = np.nan
    return tidy(table.assign(workload="w", optimizer="sgd", origin=origin, mode=mode, deterministic=False))


def test_the_median_best_of_n_agrees_with_resampling() -> None:
    rng = np.random.default_rng(0)
    sample = np.sort(rng.lognormal(size=40))
    n = np.array([1, 3, 10])
    medians, _, _ = best_of(sample, n)
    for size, value in zip(n, medians, strict=True):
        drawn = rng.choice(sample, (20_001, size)).min(axis=1)
        assert np.searchsorted(sample, value) == pytest.approx(np.searchsorted(sample, np.median(drawn)), abs=1)


def test_the_band_of_one_draw_is_the_binomials_interval() -> None:
    """With one observation F(y) is uniform: 5 % to 95 %."""
    low, high = order_statistics_band(1)
    assert (low[0], high[0]) == pytest.approx((0.05, 0.95), abs=0.01)


@pytest.mark.parametrize("size", [8, 40])
def test_the_band_covers_the_whole_true_curve_nine_times_in_ten(size: int) -> None:
    rng = np.random.default_rng(7)
    n = np.arange(1, size + 1)
    truth = 1.0 - 0.5 ** (1.0 / n)
    held = []
    for _ in range(400):
        _, low, high = best_of(np.sort(rng.uniform(size=size)), n)
        held.append(bool(np.all((low <= truth) & (truth <= high))))
    # The curve looks at the better half of the distribution only, where a band for all of it is a little wide.
    assert 0.87 <= np.mean(held) <= 0.99


def test_stopped_and_diverged_trials_count_as_worse_than_completed_ones() -> None:
    values = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    (half,) = tuning_curves(trials(values, status="cccsds"))
    assert (half.trials, half.completed) == (6, 3)
    assert half.best[0] == 0.7 and half.best[-1] == 0.5
    (mostly,) = tuning_curves(trials(values, status="ccsdss"))
    assert mostly.best[0] is None and mostly.best[-1] == 0.5 and mostly.high[0] is None


def test_accuracies_rise() -> None:
    (curve,) = tuning_curves(trials([0.5, 0.6, 0.7, 0.8, 0.9, 0.95] * 3, mode="max"))
    assert curve.best[0] == 0.8 and curve.best[-1] == 0.95
    for low, best, high in zip(curve.low, curve.best, curve.high, strict=True):
        assert best is not None and (low is None or low <= best) and (high is None or high >= best)


def test_guided_trials_are_used_only_where_there_are_too_few_others_and_have_no_band() -> None:
    both = pd.concat([trials([0.9] * 5), trials([0.1] * 9, origin="tpe")])
    (curve,) = tuning_curves(both)
    assert curve.sampling == "independent" and curve.best[0] == 0.9 and curve.low
    (curve,) = tuning_curves(both.iloc[1:])
    assert curve.sampling == "guided" and curve.trials == 13 and curve.low == () == curve.high


@pytest.mark.parametrize(
    ("n", "status", "why"),
    [(4, "cccc", Refusal("few trials", 4, "uba")), (6, "ssdsds", Refusal("none completed", family="uba"))],
)
def test_without_enough_evidence_there_is_no_curve(n: int, status: str, why: Refusal) -> None:
    (curve,) = tuning_curves(trials([0.5] * n, status=status))
    assert curve.why_not == why and curve.best == ()
