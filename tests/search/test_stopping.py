"""The ladder: who goes on, and who is never asked."""

import math

import numpy as np
import pytest

from search.stopping import MINIMUM_POPULATION, Ladder, rungs


def judge(ladder: Ladder, values: list[float]) -> list[bool]:
    kept = []
    for number, value in enumerate(values):
        ladder.record(str(number), 1, value)
        kept.append(ladder.goes_on(str(number), 1))
    return kept


def test_rungs_derive_from_the_budget() -> None:
    assert rungs(1000, "asha") == (250, 500)
    assert rungs(15, "asha") == ()
    assert rungs(1000, "none") == ()


def test_nobody_is_cut_before_the_minimum_population() -> None:
    values = [5.0, 4.0, 3.0, 9.0, 99.0]
    assert judge(Ladder(1, "min", minimum=5), values) == [True, True, True, True, False]
    assert all(judge(Ladder(1, "min"), list(range(MINIMUM_POPULATION - 1))))


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_better_half_goes_on(mode: str) -> None:
    sign = 1 if mode == "min" else -1
    ladder = Ladder(1, mode)  # type: ignore[arg-type]
    values = np.random.default_rng(0).normal(size=200)
    for number, value in enumerate(values):
        ladder.record(f"late {number}", 1, sign * value)
    kept = [value for number, value in enumerate(values) if ladder.goes_on(f"late {number}", 1)]
    cut = [value for number, value in enumerate(values) if not ladder.goes_on(f"late {number}", 1)]
    assert max(kept) < min(cut)
    assert len(kept) == len(values) / 2


def test_not_a_number_never_goes_on_and_never_helps_anyone_through() -> None:
    kept = judge(Ladder(1, "min", minimum=3), [1.0, math.nan, math.inf, 0.5, math.nan])
    assert kept == [True, True, False, True, False]


def test_diverged_trials_count_as_the_worst_at_rungs_they_missed() -> None:
    ladder = Ladder(2, "min", minimum=4)
    for number in range(3):
        ladder.record_diverged(f"diverged {number}")
    ladder.record("late", 2, 10.0)
    assert ladder.goes_on("late", 2)
    ladder.record("later", 2, 11.0)
    ladder.record("latest", 2, 12.0)
    assert ladder.goes_on("later", 2)
    assert ladder.goes_on("latest", 2)


def test_a_trial_reported_twice_counts_once() -> None:
    ladder = Ladder(1, "min", minimum=3)
    for _ in range(5):
        ladder.record("a", 1, 1.0)
    ladder.record("b", 1, 9.0)
    assert ladder.goes_on("b", 1)
