"""The files of a study's records: appended as trials end, never rewritten, one line of JSON each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phitune.search.records.record import Record, Trial, Verdict


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
        """The records since the last call; a line still being written is left for the next."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_record(json.loads(line)) for line in whole.splitlines()]


def cut_torn_line(path: Path) -> None:
    """Cuts off an unfinished last line, which a killed process leaves."""
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
