"""The range test as a study: the workloads, optimizers and resources of another, at constant LRs."""

from __future__ import annotations

import pytest

import phitune
from phitune.search.study.model import parse_study
from phitune.search.study.range_test import TRIED, range_test, searched
from phitune.search.study.sections import Resources


def train(trial: phitune.Trial, width: int = 64) -> None: ...


FUNCTION = f"{__name__}:train"


def test_it_tests_what_the_study_trains() -> None:
    entries = [
        {"name": FUNCTION, "full_budget": 2000, "base_lr": [0.01, 0.1], "width": 8, "resources": {"cpu": 2}},
        {"name": "mlp/digits", "budgets": [50, 100]},
        "logreg/digits",
    ]
    study = parse_study(
        {"name": "s", "workloads": entries, "budgets": ["50%", 200], "optimizers": ["sgd", "adamw"], "seed": 7}
        | {"families": ["uba", "wsd"], "space": {"phi": [0.1, 10]}, "trials": "auto", "equal": "1%"}
    )
    test = range_test(study)
    assert (test.name, test.most, test.auto, test.replicates, test.seed) == ("s-range-test", 12, False, 0, 7)
    assert [cell.group for cell in test.cells] == list(dict.fromkeys(cell.group for cell in study.cells))
    for cell in test.cells:
        assert (cell.budget, cell.base_lr) == (20, TRIED)
        assert [(family.label, family.searched) for family in cell.families] == [("constant", {})]
    assert test.cells[0].resources == Resources(cpu=2)


def test_a_range_is_around_what_was_found_and_none_at_the_end_of_what_was_tried() -> None:
    assert searched(0.1) == (0.02, 0.5)
    assert searched(0.0123) == pytest.approx((0.0025, 0.061))
    assert searched(TRIED[0]) is None and searched(TRIED[1]) is None
