"""How a trial fails: what is said of it, and whether it is worth another try."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial as TuneTrial

from phitune.search.records.record import Record
from phitune.search.stopping.ladder import CellAsha
from phitune.trainables.trial.relay import PopulationLostError

# How often a trial is started again after its process has died, or met an error that a fresh one may not meet.
RETRIES = 2
HUNG_RETRIES = 1
# A spot machine may be taken away from a long trial many times; one that takes its machines down with it must end.
LOST_RETRIES = 20
# Trials that fail, one and all, before a cell is given up.
GIVE_UP = 5

_DIED = "its process died"
_COLOUR = re.compile(r"\x1b\[\d+m")


@dataclass(frozen=True)
class Failure:
    """An end that a trial did not come to by itself.

    Attributes:
        reason: One line.
        traceback: Of the error, if there was one.
        hung: Whether the trial was ended because it took too long.
        lost: Whether its node died, or the process of its population: that says little of the trial.
    """

    reason: str = _DIED
    traceback: str = ""
    hung: bool = False
    lost: bool = False


def explain(error: Exception | None) -> Failure:
    """What Ray's error says, in one line."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        told = str(cause)
        return Failure(
            one_line(f"{type(cause).__name__}: {told}" if told else type(cause).__name__),
            _COLOUR.sub("", str(error)),
            lost=isinstance(cause, PopulationLostError),
        )
    text = str(error or "")
    if "low on memory" in text:
        return Failure(f"{_DIED}: Ray killed it, {_first_sentence(text.partition('due to ')[2])}")
    if "exit code" in text and "connection error" not in text:
        return Failure(f"{_DIED} with exit code {_first_sentence(text.rpartition('exit code ')[2])}")
    if "connection error code" in text:
        return Failure(f"{_DIED} without a word: killed (perhaps by the kernel, for memory), crashed or exited")
    because = text.partition("The actor is dead because ")[2]
    return Failure(
        f"{_DIED}: {_first_sentence(because)}" if because else _DIED, lost=because.startswith("its node has died")
    )


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


class FailureAsha(CellAsha):
    """Early stopping that also passes on why a trial failed, which Tune tells nobody else in time.

    Attributes:
        on_failure: Called with Tune's id of the trial, before the searcher hears that the trial has ended.
    """

    on_failure: Callable[[str, Failure], None]

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        self.on_failure(trial.trial_id, explain(_error_of(trial)))
        super().on_trial_error(tune_controller, trial)


class _ActorManager(RayActorManager):  # type: ignore[misc]
    """Takes a process that Ray's memory monitor killed for a dead one; Ray 2.60's stops the whole search for it."""

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, _as_death(exception))

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, _as_death(exception))


def survive_memory_kills() -> None:
    """Makes Tune go on when Ray kills a trial's process for memory."""
    tune_controller.RayActorManager = _ActorManager


def one_line(text: str, most: int = 300) -> str:
    """Text without line breaks, not too long."""
    return " ".join(text.split())[:most]


def _error_of(trial: TuneTrial) -> Exception | None:
    """What Tune has just written down; its own `get_pickled_error` looks where the file comes to lie later."""
    try:
        error: Exception = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:
        return None
    return error


def _as_death(error: Exception) -> Exception:
    return RayActorError(error_msg=str(error)) if isinstance(error, OutOfMemoryError) else error


def _first_sentence(text: str) -> str:
    line = one_line(text.partition("\n")[0])
    return line.partition(". ")[0].rstrip(".")
