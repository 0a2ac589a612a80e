"""The files of a study's records: appended as trials end, one line of JSON each."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from phitune.search.records.record import Record, Trial, Verdict
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError

_T = TypeVar("_T")


@dataclass
class Journal:
    """The file of records; appended and synced, never rewritten.

    A process killed while writing leaves a torn last line, which is cut off on opening. A trial that is there twice
    counts once.

    Attributes:
        records: All records, light.

    Raises:
        InputError: A line is no record; the message names it.
    """

    path: Path
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        mend_tail(self.path)
        records: dict[str, Record] = {}
        for record in read_records(self.path):
            records.setdefault(record.trial.trial_id, record)
        self.records = list(records.values())

    def append(self, record: Record) -> None:
        """Adds a record; on return it is on disk."""
        _append(self.path, {**vars(record), "trial": vars(record.trial)}, sync=True)
        self.records.append(record.light())


@dataclass
class VerdictLog:
    """The file of verdicts, so that a resumed study's ladders are what they were.

    It survives the death of every process. It is not synced, since losing its end with the machine's power costs only
    that the trials in flight are judged anew. So does a damaged line, which is left out.

    Attributes:
        verdicts: All verdicts.
        damaged: Numbers of the lines that are no verdicts.
    """

    path: Path
    verdicts: list[Verdict] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        mend_tail(self.path)
        content = self.path.read_bytes() if self.path.exists() else b""
        for number, line in _whole(io.BytesIO(content)):
            verdict = _read(line, _verdict)
            if verdict is None:
                self.damaged.append(number)
            else:
                self.verdicts.append(verdict)

    def append(self, verdict: Verdict) -> None:
        """Adds a verdict."""
        _append(self.path, vars(verdict), sync=False)

    def forget(self, trial_ids: Container[str]) -> None:
        """Removes the verdicts on trials that are not known any more, whose ids new ones may have."""
        kept = [verdict for verdict in self.verdicts if verdict.trial_id not in trial_ids]
        if kept != self.verdicts:
            self.verdicts = kept
            with whole_file(self.path) as fresh:
                fresh.touch()
                for verdict in kept:
                    _append(fresh, vars(verdict), sync=False)


@dataclass
class Follower:
    """Reads a journal that another process appends to."""

    path: Path
    _offset: int = 0
    _lines_read: int = 0

    def read(self) -> list[Record]:
        """The records since the last call; a line still being written is left for the next.

        Raises:
            InputError: A line is no record.
        """
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        records = list(_records(self.path, io.BytesIO(whole), self._lines_read + 1))
        self._offset += len(whole)
        self._lines_read += whole.count(b"\n")
        return records


def read_records(path: Path) -> Iterator[Record]:
    """The records of a journal, light; a last line that is still being written is left out.

    Raises:
        InputError: A line is no record.
    """
    if path.exists():
        with path.open("rb") as file:
            for record in _records(path, file):
                yield record.light()


def mend_tail(path: Path) -> None:
    """Cuts off an unfinished last line, which a killed process leaves; one that lacks only its end of line gets it."""
    if not path.exists():
        return
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return
    try:
        json.loads(content[end:])
    except ValueError:
        os.truncate(path, end)
    else:
        with path.open("ab") as file:
            file.write(b"\n")


def shown(line: bytes) -> str:
    """The beginning of a damaged line, for a message."""
    return repr(line.rstrip()[:60].decode(errors="replace"))


def _record(values: Any) -> Record:
    record = Record(**{**values, "trial": Trial(**values["trial"])})
    # What is read of every record; a line that is a record by its keys alone fails here rather than later.
    _ = record.final.get("objective"), [(step, value) for step, value in record.rungs], record.trial.number + 0
    return record


def _verdict(values: Any) -> Verdict:
    verdict = Verdict(**values)
    if verdict.rung < 1:
        raise ValueError(verdict.rung)
    return verdict


def _read(line: bytes, make: Callable[[Any], _T]) -> _T | None:
    """What a line holds; None if it is damaged."""
    try:
        return make(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _records(path: Path, lines: Iterable[bytes], first: int = 1) -> Iterator[Record]:
    for number, line in _whole(lines, first):
        record = _read(line, _record)
        if record is None:
            raise InputError(
                f"{path}: line {number} is damaged: {shown(line)}; mend or remove it, and its trial is run again"
            )
        yield record


def _whole(lines: Iterable[bytes], first: int = 1) -> Iterator[tuple[int, bytes]]:
    """The lines that are neither blank nor unfinished, and their numbers."""
    return ((number, line) for number, line in enumerate(lines, first) if line.strip() and line.endswith(b"\n"))


def _append(path: Path, values: dict[str, Any], sync: bool) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")
        file.flush()
        if sync:
            os.fsync(file.fileno())
