"""Ends trials that hang: by wall time, relative to the others of their cell."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

from search.record import Record, Trial
from search.study import Cell, Study

# A trial hangs if it takes so many times as long as others would.
_SLOWER = 10
# Seconds for a trial of which nothing is known: nothing of its workload has ended, and it has reported nothing.
_UNKNOWN = 24 * 3600
_REMEMBERED = 101


class Watchdog:
    """Knows how fast a study's trials are and which of those in flight take far too long.

    Speeds are compared, in seconds an iteration, because a stopped trial is shorter and a replicate may be measured
    more. A trial is compared with those of its cell and phase; if there is none, with those of its workload, and with
    its own last report.

    Args:
        study: ``failures.hung_seconds`` is what every trial may take, however fast the others are.
        records: Trials that have ended.
        clock: Seconds that only go forward.
    """

    def __init__(self, study: Study, records: Iterable[Record], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floor = study.failures.hung_seconds
        measured = study.diagnostics
        self._alike = measured.trials == "all" or not (measured.gradient_points or measured.hessian)
        cells = study.cells()
        self._workloads = {cell.key: cell.workload.label for cell in cells}
        self._paces: dict[tuple[str, ...], deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._since: dict[str, float] = {}
        self._looked = 0.0
        for record in records:
            self.ended(record)

    def started(self, key: str) -> None:
        """Notes that a trial begins, or begins again, under a key."""
        self._since[key] = self._clock()

    def ended(self, record: Record) -> None:
        """Learns from a trial's speed."""
        if record.status in ("completed", "stopped") and record.steps > 0:
            pace = record.seconds / record.steps
            for place in self._places(record.trial):
                self._paces[place].append(pace)

    def overdue(self, live: Mapping[str, Any]) -> dict[str, str]:
        """Those of the trials in flight (`search.proposer.Live` by key) that hang, and why that is thought."""
        now = self._clock()
        if now - self._looked < min(1.0, self._floor / 4):
            return {}
        self._looked = now
        for key in self._since.keys() - live.keys():
            del self._since[key]
        late = {}
        for key, since in self._since.items():
            taken = now - since
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
        """Seconds that a trial may be expected to take, if anything is known."""
        for place in self._places(trial):
            if self._paces[place]:
                return median(self._paces[place]) * cell.budget
        account = json.loads(report["account"]) if "account" in report else {}
        return float(account["seconds"]) / float(account["steps"]) * cell.budget if account.get("steps") else None

    def _places(self, trial: Trial) -> list[tuple[str, ...]]:
        """Where a trial's speed is written down, the most like it first."""
        phase = "any" if self._alike else trial.phase
        places = [(trial.cell, trial.phase), (trial.cell, phase), (self._workloads[trial.cell], phase)]
        return list(dict.fromkeys(places))
