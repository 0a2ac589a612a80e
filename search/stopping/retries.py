"""How trials fail, whether a failed trial is started again, and when a cell is given up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from phitune.search.records.record import Record

# How often a trial is started again after its process has died, or met an error that a fresh one may not meet.
RETRIES = 2
HUNG_RETRIES = 1
# A spot machine may be taken away from a long trial many times; one that takes its machines down with it must end.
LOST_RETRIES = 20
# Trials that fail, one and all, before a cell is given up.
GIVE_UP = 5

DIED = "its process died"


@dataclass(frozen=True)
class Failure:
    """An end that a trial did not come to by itself.

    Attributes:
        reason: One line.
        traceback: Of the error, if there was one.
        hung: Whether the trial was ended because it took too long.
        lost: Whether its node died, or the process of its population: that says little of the trial.
    """

    reason: str = DIED
    traceback: str = ""
    hung: bool = False
    lost: bool = False


class Retries:
    """Counts how often trials were started again in this process, for each kind of failure."""

    def __init__(self) -> None:
        self._hung, self._lost, self._other = Counter[str](), Counter[str](), Counter[str]()

    def allow(self, trial_id: str, failure: Failure) -> bool:
        """Whether to start the trial again; if so, that is counted."""
        if failure.hung:
            counts, most = self._hung, HUNG_RETRIES
        else:
            counts, most = (self._lost, LOST_RETRIES) if failure.lost else (self._other, RETRIES)
        if counts[trial_id] >= most:
            return False
        counts[trial_id] += 1
        return True

    def last(self, trial_id: str) -> bool:
        """Whether no more retries are left, so that what the trial was started from is no longer to be trusted."""
        return self._other[trial_id] >= RETRIES


class Luck:
    """Notices a cell in which nothing works: its first `GIVE_UP` trials of this process all failed."""

    def __init__(self) -> None:
        self._failed = 0
        self._worked = False
        self.gave_up = ""

    def ended(self, record: Record) -> None:
        """Counts a trial that has just ended."""
        if record.status != "failed":
            self._worked = True
        self._failed += record.status == "failed"
        if not self._worked and self._failed == GIVE_UP:
            self.gave_up = f"stopped after {GIVE_UP} trials, all failed: {record.reason}"
