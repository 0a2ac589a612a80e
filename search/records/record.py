"""What a study has done, on disk as it happens: one line of JSON for every trial that has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

Phase = Literal["explore", "replicate"]
Status = Literal["completed", "stopped", "diverged", "failed"]
Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Trial:
    """A proposed trial.

    Attributes:
        trial_id: ``<cell slug>/explore-0007``, or ``<cell slug>/replicate-0007.1`` for its second replicate; the same
            after a restart.
        cell: The cell's key.
        number: Within its cell and phase, from 0.
        family: The family's label in the study.
        schedule: `Schedule.to_dict`.
        finalist: Of a replicate: the explore trial that it repeats.
        origin: Of an explore trial: ``quasi-random``, ``tpe``, or the cell whose best it tries.
    """

    trial_id: str
    cell: str
    phase: Phase
    number: int
    family: str
    schedule: dict[str, Any]
    base_lr: float
    mean_lr: float
    seed: int
    finalist: str | None = None
    origin: str = ""


@dataclass(frozen=True)
class Record:
    """A trial that has ended.

    Attributes:
        steps: Iterations done; less than the budget if stopped, diverged or failed.
        rungs: Iteration and judged value of each rung it reached.
        curve: Points with ``step`` and metrics.
        diagnosed: Points with ``step`` and what was measured on the whole training set.
        final: Last metrics; ``objective`` and, for replicates, ``test_loss`` and ``test_metric`` among them.
        started: Unix time, s.
        seconds: Duration, s.
        reason: Why it diverged or failed.
        traceback: Of the error with which it failed.
    """

    trial: Trial
    status: Status
    steps: int
    rungs: list[tuple[int, float]]
    curve: list[dict[str, float]]
    final: dict[str, float]
    started: float
    seconds: float
    diagnosed: list[dict[str, float]] = field(default_factory=list)
    reason: str = ""
    traceback: str = ""

    def cost(self, mode: Mode) -> float:
        """The objective of a completed trial, its sign turned where large is good: less is better."""
        objective = self.final["objective"]
        return objective if mode == "min" else -objective

    @property
    def comparable(self) -> bool:
        """Whether it may be a family's best: an explore trial that was completed."""
        return self.status == "completed" and self.trial.phase == "explore"

    def beats(self, held: Record | None, mode: Mode) -> bool:
        """Whether it is comparable, and better than the best so far, if there is one."""
        return self.comparable and (held is None or self.cost(mode) < held.cost(mode))

    def light(self) -> Record:
        """Without the curve and what else is long; it is in the journal and would fill the memory of a large study."""
        return replace(self, curve=[], diagnosed=[], traceback="")


@dataclass(frozen=True)
class Verdict:
    """What a ladder decided about a trial at a rung.

    Attributes:
        family: The family's label in the study.
        rung: Its number, from 1.
        value: What was judged: the objective on averaged weights.
    """

    trial_id: str
    cell: str
    family: str
    rung: int
    value: float
    goes_on: bool


@dataclass
class Journal:
    """The file of records; appended and synced, never rewritten.

    A process killed while writing leaves a torn last line, which is cut off on opening.

    Attributes:
        records: All records, light.
    """

    path: Path
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = [_record(values).light() for values in _lines(self.path)]

    def append(self, record: Record) -> None:
        """Adds a record; on return it is on disk."""
        _append(self.path, {**vars(record), "trial": vars(record.trial)}, sync=True)
        self.records.append(record.light())


@dataclass
class VerdictLog:
    """The file of verdicts, so that a resumed study's ladders are what they were.

    It survives the death of every process. It is not synced, since losing its end with the machine's power costs only
    that the trials in flight are judged anew.
    """

    path: Path
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.verdicts = [Verdict(**values) for values in _lines(self.path)]

    def append(self, verdict: Verdict) -> None:
        """Adds a verdict."""
        _append(self.path, vars(verdict), sync=False)


@dataclass
class Follower:
    """Reads a journal that another process appends to."""

    path: Path
    _offset: int = 0

    def read(self) -> list[Record]:
        """The records that have come since the last call; a line still being written is left for the next."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_record(json.loads(line)) for line in whole.splitlines()]


def cut_torn_line(path: Path) -> None:
    """Cuts off what a killed process left of the last line of a file, if there is one."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def _record(values: dict[str, Any]) -> Record:
    return Record(**{**values, "trial": Trial(**values["trial"])})


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        cut_torn_line(path)
        with path.open("rb") as file:
            yield from map(json.loads, file)


def _append(path: Path, values: dict[str, Any], sync: bool) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")
        file.flush()
        if sync:
            os.fsync(file.fileno())
