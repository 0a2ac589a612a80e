"""Finds trials that hang, by their training time relative to the other trials of their cell."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

from phitune.search.records.record import Record, Trial
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study

# A trial hangs if it takes this many times as long as others.
_SLOWER = 10
# Seconds for a trial without any comparison: no trial of its workload has ended, and it has reported nothing.
_UNKNOWN = 24 * 3600
# Most seconds that count between two checks. If more have passed, the search itself was held up (its storage hung, its
# process was suspended), and the reports of its trials are still unread.
_STEP = 2.0
_REMEMBERED = 101
# Seconds after which the first process of a trial should have started.
_FIRST_START = 60.0


class Watchdog:
    """Knows the pace of a study's trials and finds those in flight that take far too long.

    Paces are compared, in seconds an iteration, because a stopped trial is shorter. A replicate may be measured more
    often, so a trial is compared with those of its cell and phase; failing that, with those of its workload; failing
    that, with its own last report. Time during which the search stood still does not count.

    Args:
        study: ``failures.hung_seconds`` is the time that every trial may take, however fast the others are.
        records: Trials that have ended.
        clock: Seconds that only go forward.
    """

    def __init__(self, study: Study, records: Iterable[Record], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floor = study.failures.hung_seconds
        measured = study.diagnostics
        self._alike = measured.trials == "all" or not (measured.gradient_points or measured.hessian)
        cells = study.cells
        self._workloads = {cell.key: cell.workload.label for cell in cells}
        self._paces: dict[tuple[str, ...], deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._every = min(1.0, self._floor / 4)
        self._looked = clock()
        self._now = 0.0
        self._since: dict[str, float] = {}
        # When there was room for the first process, until it has started or its absence was told.
        self._room_since: float | None = 0.0
        for record in records:
            self.ended(record)

    def started(self, key: str) -> None:
        """Starts, or restarts, the clock of a trial."""
        self._since[key] = self._now
        self._room_since = None

    def nothing_started(self, placed: int) -> bool:
        """Whether no process of a trial has started after a minute with room for one; true only once.

        Args:
            placed: Trials in flight that wait for no node.
        """
        if self._room_since is None:
            return False
        if not placed:
            self._room_since = self._now
        late = self._now - self._room_since > _FIRST_START
        if late:
            self._room_since = None
        return late

    def ended(self, record: Record) -> None:
        """Counts an ended trial's pace."""
        if record.status in ("completed", "stopped") and record.steps > 0:
            pace = record.seconds / record.steps
            for place in self._places(record.trial):
                self._paces[place].append(pace)

    def overdue(self, live: Mapping[str, Any]) -> dict[str, str]:
        """The trials in flight (`search.tune.searcher.Live` by key) that hang, each with the reason in words."""
        passed = self._clock() - self._looked
        if passed < self._every:
            return {}
        self._looked += passed
        self._now += min(passed, _STEP)
        for key in self._since.keys() - live.keys():
            del self._since[key]
        late = {}
        for key, since in self._since.items():
            taken = self._now - since
            if taken <= self._floor:
                continue
            cell = live[key].cell
            # In a population a trial's pace depends on how many others there are.
            slower = _SLOWER * (cell.together.rows if cell.together else 1)
            usual = self._usual(live[key].trial, cell, live[key].report)
            if taken > max(self._floor, _UNKNOWN if usual is None else slower * usual):
                others = "" if usual is None else f", where others would have taken {usual:.2g} s"
                late[key] = f"hung: ended after {taken:.0f} s{others}"
        return late

    def _usual(self, trial: Trial, cell: Cell, report: Mapping[str, Any]) -> float | None:
        """Expected duration of a trial in s; None without any comparison."""
        for place in self._places(trial):
            if self._paces[place]:
                return median(self._paces[place]) * cell.budget
        account = json.loads(report["account"]) if "account" in report else {}
        return float(account["seconds"]) / float(account["steps"]) * cell.budget if account.get("steps") else None

    def _places(self, trial: Trial) -> list[tuple[str, ...]]:
        """Groups of trials to which a trial is compared, the most similar first."""
        phase = "any" if self._alike else trial.phase
        places = [(trial.cell, trial.phase), (trial.cell, phase), (self._workloads[trial.cell], phase)]
        return list(dict.fromkeys(places))
