"""The watchdog: which trials are compared, and when one hangs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from phitune.search.records.record import Phase, Record, Status, Trial
from phitune.search.stopping.watchdog import Watchdog
from phitune.search.study.cell import Together
from phitune.search.study.model import parse_study
from phitune.search.tune.searcher import Live

STUDY: dict[str, Any] = {
    "name": "s",
    "workloads": ["quadratic", "mlp/digits"],
    "budgets": [100, 200],
    "failures": {"hung_seconds": 5},
}
DAY = 24 * 3600
NO_STALLS: Mapping[int, float] = {}


def trial(cell: str, phase: Phase = "explore") -> Trial:
    return Trial(f"{cell}/x", cell, phase, 0, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)


def record(cell: str, seconds: float, steps: int, status: Status = "completed", phase: Phase = "explore") -> Record:
    return Record(trial(cell, phase), status, steps, [], [], {}, 0.0, seconds)


def ended_after(
    records: list[Record],
    cell: str,
    phase: Phase = "explore",
    report: Any = None,
    rows: int = 0,
    stalls: Mapping[int, float] = NO_STALLS,
    within: int = 1000,
    **change: Any,
) -> int | None:
    """The seconds after which a trial that never reports again, in a population of ``rows``, is called hung.

    Args:
        stalls: Seconds for which the search and its watchdog stand still, by the second at which each begins.
    """
    study = parse_study({**STUDY, **change})
    now = 0.0
    watchdog = Watchdog(study, records, lambda: now)
    together = Together(rows, study.resources) if rows else None
    cells = {cell.key: replace(cell, together=together) for cell in study.cells}
    live = {"t": Live(trial(cell, phase), cells[cell], {"account": json.dumps(report)} if report else {})}
    watchdog.started("t")
    for second in range(1, within + 1):
        now += 1 + stalls.get(second, 0)
        if watchdog.overdue(live):
            return second
    return None


SMALL, LARGE, OTHER = "quadratic sgd 100", "quadratic sgd 200", "mlp/digits sgd 200"


def test_ten_times_the_median_of_the_cell_by_steps_a_second() -> None:
    # 2 s a trial of 100 iterations, one of them stopped half way, one diverged early, one slow.
    records = [record(SMALL, 2, 100), record(SMALL, 1, 50, "stopped"), record(SMALL, 2, 100), record(SMALL, 90, 100)]
    assert ended_after([*records, record(SMALL, 500, 1, "diverged")], SMALL) == 21


def test_in_a_population_a_trial_may_be_slower_by_the_number_of_others() -> None:
    assert ended_after([record(SMALL, 2, 100)], SMALL) == 21
    assert ended_after([record(SMALL, 2, 100)], SMALL, rows=4) == 81


def test_time_during_which_the_search_stood_still_does_not_count() -> None:
    # A late check counts as two seconds.
    assert ended_after([record(SMALL, 2, 100)], SMALL, stalls={3: 3600}) == 20
    assert ended_after([record(SMALL, 2, 100)], SMALL, stalls={3: 3600, 9: 30, 10: 30}) == 18
    assert ended_after([record(SMALL, 2, 100)], SMALL, stalls={21: 3600}) == 21


def test_a_search_that_is_slow_but_moves_counts_all_time() -> None:
    assert ended_after([record(SMALL, 2, 100)], SMALL, stalls=dict.fromkeys(range(1, 99), 1.0)) == 11


def test_every_trial_may_take_the_floor() -> None:
    assert ended_after([record(SMALL, 0.001, 100)], SMALL) == 6


def test_other_budgets_of_the_workload_are_scaled_and_other_workloads_say_nothing() -> None:
    assert ended_after([record(SMALL, 2, 100)], LARGE) == 41
    assert ended_after([record(SMALL, 2, 100)], OTHER) is None


def test_a_trial_of_which_nothing_is_known_may_take_a_day() -> None:
    assert ended_after([], SMALL, within=DAY + 1) == DAY + 1


def test_a_trial_alone_is_compared_with_its_own_report() -> None:
    assert ended_after([], OTHER, report={"steps": 50, "seconds": 2.5}) == 101


def test_replicates_that_are_measured_more_are_compared_with_replicates() -> None:
    explored = [record(SMALL, 0.1, 100)]
    assert ended_after(explored, SMALL, "replicate") == 6
    measured = {"diagnostics": {"hessian": True}}
    assert ended_after(explored, SMALL, "replicate", **measured) is None
    slow = [*explored, record(LARGE, 4, 200, phase="replicate")]
    assert ended_after(slow, SMALL, "replicate", **measured) == 21


def told_after(first_start: int, room_from: int = 0) -> list[int]:
    """The seconds at which it is told that nothing has started, with room for a trial from ``room_from`` on."""
    now, told = 0.0, []
    watchdog = Watchdog(parse_study(STUDY), [], lambda: now)
    for second in range(1, 301):
        now += 1
        if second == first_start:
            watchdog.started("t")
        watchdog.overdue({})
        if watchdog.nothing_started(int(second > room_from)):
            told.append(second)
    return told


def test_a_first_process_that_does_not_start_is_told_once_after_a_minute_with_room_for_it() -> None:
    assert told_after(first_start=1000) == [61]
    assert told_after(first_start=70) == [61]
    assert told_after(first_start=1000, room_from=100) == [161]
    assert told_after(first_start=50) == []
    assert told_after(first_start=150, room_from=100) == []
