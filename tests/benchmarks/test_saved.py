"""What other workloads' trials save: how it is counted, and the range test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import lr_transfer, saved
from benchmarks.quality.curves import Floats
from phitune.trainables.workloads.exact import Problem

MARKS = len(saved.MARKS)


def falling(*reached: int) -> Floats:
    """Searches within any goal after so many trainings; never where that is beyond the last mark."""
    return np.array([[1.0] * min(n - 1, MARKS) + [0.0] * max(MARKS - n + 1, 0) for n in reached])


def test_trainings_are_those_after_which_the_goal_stays_met() -> None:
    regret = falling(1, 5, 5, MARKS + 1)
    regret[2, 7] = 1.0
    assert saved.trainings(regret, 0.05).tolist() == [1.0, 5.0, 9.0, np.inf]


def test_the_ratio_is_of_medians_over_cells() -> None:
    alone = {"a": falling(8, 8, 8), "b": falling(8, 8, 8)}
    helped = {"a": falling(4, 4, 4), "b": falling(1, 1, 1)}
    assert saved.ratio(alone, helped, 0.05) == pytest.approx({"ratio": 0.25, "low": 0.25, "high": 0.25})
    same = saved.ratio(alone, {"a": falling(2, 8, 8)}, 0.05)
    assert same["ratio"] == 1.0 and same["low"] == pytest.approx(0.25) and same["high"] == 1.0


def test_a_search_that_never_gets_there_counts_as_one_mark_more() -> None:
    assert saved.ratio({"a": falling(17)}, {"a": falling(40)}, 0.05)["ratio"] == 1.0


def test_the_range_test_follows_the_recursion_without_noise() -> None:
    losses = lr_transfer._of_exact(Problem(np.ones(1), np.ones(1), np.zeros(1)))
    assert losses[0.5] == pytest.approx(0.5 ** (2 * lr_transfer.ITERATIONS))
    assert losses[2.0] == pytest.approx(1.0) and losses[4.0] > 1e3
