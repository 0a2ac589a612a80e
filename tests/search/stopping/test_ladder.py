"""The ladder: which trials go on."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from phitune.search.records.record import Verdict
from phitune.search.stopping.ladder import FAIR, Ladder, rungs
from phitune.search.study.model import Study, parse_study
from phitune.search.study.sections import Asha


def study(**change: Any) -> Study:
    return parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [1000], **change})


def ladder(count: int = 1, mode: Literal["min", "max"] = "min", **settings: int) -> Ladder:
    return Ladder(count, mode, Asha(**settings))  # type: ignore[arg-type]


def judge(ladder: Ladder, values: Sequence[float]) -> list[bool]:
    # Better trials of the same family use up its protection.
    for rival in range(FAIR):
        ladder.note(f"rival {rival}", "all", 1, -1e9)
    return [ladder.judge(str(number), "all", 1, value) for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("early_stopping", "budget", "expected"),
    [
        ("asha", 1000, (250, 500)),
        ("asha", 15, ()),
        ("none", 1000, ()),
        ({"rungs": ["10%", 0.5]}, 1000, (100, 500)),
        ({"rungs": ["1%", "2%"]}, 40, (1,)),
    ],
)
def test_rungs_derive_from_the_budget(early_stopping: Any, budget: int, expected: tuple[int, ...]) -> None:
    short = study(early_stopping=early_stopping, budgets=[budget])
    assert rungs(short.cells[0], short) == expected


def test_no_trial_is_cut_before_the_minimum_population() -> None:
    values = [5.0, 4.0, 3.0, 9.0, 99.0]
    assert judge(ladder(minimum=FAIR + 5), values) == [True, True, True, True, False]
    assert all(judge(ladder(minimum=FAIR + 6), values))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("reduction", [2, 4])
def test_the_best_share_goes_on(mode: Literal["min", "max"], reduction: int) -> None:
    sign = 1 if mode == "min" else -1
    asha = ladder(mode=mode, reduction=reduction)
    values = np.random.default_rng(0).normal(size=200)
    for number, value in enumerate(values):
        asha.note(f"late {number}", "uba", 1, sign * value)
    kept = [value for number, value in enumerate(values) if asha.judge(f"late {number}", "uba", 1, sign * value)]
    assert len(kept) == len(values) / reduction
    assert max(kept) == sorted(values)[len(kept) - 1]


def test_not_a_number_never_goes_on_and_never_helps_others() -> None:
    kept = judge(ladder(minimum=FAIR + 3), [1.0, math.nan, math.inf, 0.5, math.nan])
    assert kept == [True, True, False, True, False]


def test_diverged_trials_count_as_the_worst_at_rungs_they_missed() -> None:
    asha = ladder(2, minimum=4)
    for number in range(3):
        asha.note_diverged(f"diverged {number}", "uba")
    assert [asha.judge(f"late {value}", "uba", 2, value) for value in (10.0, 11.0, 12.0)] == [True, True, True]


def test_every_family_keeps_its_best_so_far() -> None:
    asha = ladder(minimum=1)
    for number in range(50):
        asha.note(f"good {number}", "uba", 1, 0.0)
    values = (3.0, 2.0, 2.5, 0.5, 1.5)
    assert [asha.judge(f"step {value}", "step", 1, value) for value in values] == [True, True, False, True, False]


def test_a_verdict_stands_also_in_a_new_process() -> None:
    asha = ladder(minimum=1)
    judge(asha, [1.0] * 20)
    assert not asha.judge("a", "all", 1, 5.0)
    asha.restore(Verdict("b", "c", "all", 1, 6.0, True))
    assert asha.judge("b", "all", 1, 6.0)
    assert not asha.judge("a", "all", 1, 0.0)
