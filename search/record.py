"""What a study has done, on disk as it happens: one line of JSON for every trial that has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Phase = Literal["explore", "replicate"]
Status = Literal["completed", "stopped", "diverged", "failed"]


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


@dataclass
class Journal:
    """The file of records; appended and synced, never rewritten.

    A process killed while writing leaves a torn last line, which is cut off on opening.
    """

    path: Path
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path.exists():
            cut_torn_line(self.path)
            self.records = list(_read(self.path.read_bytes()))

    def append(self, record: Record) -> None:
        """Adds a record; on return it is on disk."""
        with self.path.open("ab") as file:
            line = {**vars(record), "trial": vars(record.trial)}
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)


def cut_torn_line(path: Path) -> None:
    """Cuts off what a killed process left of the last line of a file, if there is one."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def _read(content: bytes) -> Iterator[Record]:
    for line in content.splitlines():
        values = json.loads(line)
        yield Record(**{**values, "trial": Trial(**values["trial"])})
