"""The watchdog: compared with whom, and how long is too long."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from search.proposer import Live
from search.record import Phase, Record, Status, Trial
from search.study import Together, parse_study
from search.watchdog import Watchdog

STUDY: dict[str, Any] = {
    "name": "s",
    "workloads": ["quadratic", "mlp/digits"],
    "budgets": [100, 200],
    "failures": {"hung_seconds": 5},
}


def trial(cell: str, phase: Phase = "explore") -> Trial:
    return Trial(f"{cell}/x", cell, phase, 0, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)


def record(cell: str, seconds: float, steps: int, status: Status = "completed", phase: Phase = "explore") -> Record:
    return Record(trial(cell, phase), status, steps, [], [], {}, 0.0, seconds)


def ended_after(
    records: list[Record], cell: str, phase: Phase = "explore", report: Any = None, rows: int = 0, **change: Any
) -> float:
    """The time at which a trial that never reports again, in a population of ``rows``, is taken for hung."""
    study = parse_study({**STUDY, **change})
    now = 0.0
    watchdog = Watchdog(study, records, lambda: now)
    together = Together(rows, study.resources) if rows else None
    cells = {cell.key: replace(cell, together=together) for cell in study.cells()}
    live = {"t": Live(trial(cell, phase), cells[cell], {"account": json.dumps(report)} if report else {})}
    watchdog.started("t")
    for seconds in (4, 6, 11, 21, 51, 101, 1001, 100_000):
        now = seconds
        if watchdog.overdue(live):
            return seconds
    raise AssertionError("never")


SMALL, LARGE, OTHER = "quadratic sgd 100", "quadratic sgd 200", "mlp/digits sgd 200"


def test_ten_times_the_median_of_the_cell_by_steps_a_second() -> None:
    # 2 s a trial of 100 iterations, one of them stopped half way, one diverged early, one slow.
    records = [record(SMALL, 2, 100), record(SMALL, 1, 50, "stopped"), record(SMALL, 2, 100), record(SMALL, 90, 100)]
    assert ended_after([*records, record(SMALL, 500, 1, "diverged")], SMALL) == 21


def test_in_a_population_a_trial_may_be_slower_by_the_number_of_others() -> None:
    assert ended_after([record(SMALL, 2, 100)], SMALL) == 21
    assert ended_after([record(SMALL, 2, 100)], SMALL, rows=4) == 101


def test_every_trial_may_take_the_floor() -> None:
    assert ended_after([record(SMALL, 0.001, 100)], SMALL) == 6


def test_other_budgets_of_the_workload_are_scaled_and_other_workloads_say_nothing() -> None:
    assert ended_after([record(SMALL, 2, 100)], LARGE) == 51
    assert ended_after([record(SMALL, 2, 100)], OTHER) == 100_000


def test_a_trial_alone_is_compared_with_its_own_report() -> None:
    assert ended_after([], OTHER, report={"steps": 50, "seconds": 2.5}) == 101


def test_replicates_that_are_measured_more_are_compared_with_replicates() -> None:
    explored = [record(SMALL, 0.1, 100)]
    assert ended_after(explored, SMALL, "replicate") == 6
    measured = {"diagnostics": {"hessian": True}}
    assert ended_after(explored, SMALL, "replicate", **measured) == 100_000
    slow = [*explored, record(LARGE, 4, 200, phase="replicate")]
    assert ended_after(slow, SMALL, "replicate", **measured) == 21
