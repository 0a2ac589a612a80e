"""What is said of a cell in which no trial did well."""

from __future__ import annotations

import pytest

from phitune.search.records.record import Record, Status, Trial
from phitune.search.stopping.hopeless import hopeless
from phitune.search.study.model import parse_study

(CELL,) = parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [40], "space": {"base_lr": [1, 9]}}).cells
NAN, BIG = "the training loss is nan at iteration 3", "the training loss exploded to 1e+07 at iteration 9"
LRS = "too high a base LR (space.base_lr is 1 to 9)"
DATA = "NaN or infinite numbers in the data"


def ended(status: Status, reason: str = "", steps: int = 20) -> Record:
    trial = Trial("x", CELL.key, "explore", 0, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)
    return Record(trial, status, steps, [], [], {}, 0.0, 1.0, reason=reason)


@pytest.mark.parametrize(
    ("records", "line"),
    [
        ([], ""),
        ([ended("completed"), ended("diverged", NAN)], ""),
        ([ended("stopped"), ended("failed", "x")], ""),
        ([ended("failed", "ValueError: x")] * 2, "all 2 trials failed: ValueError: x"),
        ([ended("failed", "x"), ended("diverged", BIG), ended("diverged", BIG)],
         f"all 3 trials failed or diverged: {BIG}; likely {LRS}"),
        ([ended("diverged", BIG)], f"all 1 trials diverged: {BIG}; likely {LRS}"),
        ([ended("diverged", NAN)], f"all 1 trials diverged: {NAN}; likely {LRS}, or {DATA}"),
        ([ended("diverged", NAN, 1)], f"all 1 trials diverged: {NAN}; likely {DATA}"),
    ],
)  # fmt: skip
def test_the_likely_reason_follows_from_how_trials_ended(records: list[Record], line: str) -> None:
    assert hopeless(CELL, records) == (line and f"cell quadratic sgd 40: {line}")
