"""Optuna's history of a study, on disk: opened whole, whatever has happened to its file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from phitune.search.proposing.sampler import CONFIGURATION
from phitune.search.records.journal import mend_tail
from phitune.search.records.record import Record
from phitune.trainables.atomic import whole_file


def open_history(path: Path, records: Iterable[Record]) -> BaseStorage:
    """Optuna's storage in a file, of which the operations before any damage are kept.

    A file that contradicts the records, such as another study's, is begun anew. What the history then lacks of the
    records, `CellProposer` adds.

    Args:
        path: The file; created if it is not there.
        records: The study's ended trials.
    """
    # The study's own lock is held, so the process that left Optuna's is dead; Optuna would wait for it.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    mend_tail(path)
    _cut_damage(path)
    storage = _storage(path)
    if _contradicts(storage, records):
        path.unlink()
        storage = _storage(path)
    return storage


def _storage(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path.resolve())))


def _cut_damage(path: Path) -> None:
    """Removes blank lines, and everything from the first line on that is no operation."""
    content = path.read_bytes() if path.exists() else b""
    lines = [line for line in content.splitlines(keepends=True) if line.strip()]
    kept = b"".join(lines[: _sound(lines)])
    if kept != content:
        with whole_file(path) as fresh:
            fresh.write_bytes(kept)


def _sound(lines: list[bytes]) -> int:
    """Number of lines that Optuna can apply, one after another."""
    operations: list[dict[str, Any]] = []
    for line in lines:
        try:
            operations.append(json.loads(line))
        except ValueError:
            break
    replay = _Replay(operations)
    try:
        JournalStorage(replay)
    except Exception:
        return replay.begun - 1
    return len(operations)


class _Replay(BaseJournalBackend):
    """Operations to be read once; counts those that were begun. Optuna's interface asks for writing, too."""

    def __init__(self, operations: list[dict[str, Any]]) -> None:
        self._operations = operations
        self.begun = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        for operation in self._operations[log_number_from:]:
            self.begun += 1
            yield operation

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError("a replay is only read")


def _contradicts(storage: BaseStorage, records: Iterable[Record]) -> bool:
    """Whether a trial of the history is not the one of its number that has ended."""
    history = {
        (study.study_name, trial.number): trial.user_attrs.get(CONFIGURATION, {}).get("base_lr")
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(study._study_id, deepcopy=False)
    }
    trials = (record.trial for record in records if record.trial.phase == "explore")
    return any(trial.base_lr != history.get((trial.cell, trial.number), trial.base_lr) for trial in trials)
