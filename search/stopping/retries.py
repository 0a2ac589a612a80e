"""How trials fail, whether a failed trial is started again, and when a cell is given up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from phitune.search.records.record import Record

# How often a trial is started again after its process has died, or failed with an error that may not recur.
RETRIES = 2
HUNG_RETRIES = 1
# A spot machine may be taken away from a long trial many times; one that takes its machines down with it must end.
LOST_RETRIES = 20
# Failed trials, without any that worked, after which a cell is given up.
GIVE_UP = 5

DIED = "its process died"


@dataclass(frozen=True)
class Failure:
    """Why a trial failed.

    Attributes:
        reason: One line.
        traceback: Of the error, if there was one.
        hung: Whether the search ended the trial because it took too long.
        lost: Whether its node or its population's process died, which is no evidence against the trial.
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
        """Whether to start the trial again; counts the retry if so."""
        if failure.hung:
            counts, most = self._hung, HUNG_RETRIES
        else:
            counts, most = (self._lost, LOST_RETRIES) if failure.lost else (self._other, RETRIES)
        if counts[trial_id] >= most:
            return False
        counts[trial_id] += 1
        return True

    def last(self, trial_id: str) -> bool:
        """Whether no retries are left, so that the trial's checkpoint is no longer trusted."""
        return self._other[trial_id] >= RETRIES


class Luck:
    """Detects a cell in which nothing works: its first `GIVE_UP` trials in this process all failed.

    Attributes:
        gave_up: The reason to stop the cell; empty until then.
    """

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
