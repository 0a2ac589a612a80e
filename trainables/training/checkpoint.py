"""Checkpoints of trials in flight, saved by wall time, from which a new process resumes them."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

from phitune.trainables.atomic import whole_file
from phitune.trainables.trial_files import file_name

# Seconds for which a trial waits for its file. Storage that hangs (a network drive whose server is away) answers
# neither yes nor no; the trial goes on meanwhile.
_PATIENCE = 2.0
_SUFFIX = ".ckpt"


class Checkpoint:
    """Checkpoint file of one trial; it is replaced as a whole, so it is never half written.

    Saving is a convenience: if a state cannot be saved or a file not read, the trial goes on without it.

    Args:
        path: The file, on storage of every machine that may resume the trial.
        seconds: Wall time between two saves.
        identity: The task; a file of another task is not loaded.
    """

    # While one write hangs, the process starts no other.
    _writing: ClassVar[threading.Thread | None] = None
    # The trials of a population are saved by one process, one after another.
    _all: ClassVar[WeakSet[Checkpoint]] = WeakSet()

    def __init__(self, path: Path, seconds: float, identity: Any) -> None:
        self._path = path
        self._seconds = seconds
        self._identity = identity
        self._due = time.monotonic() + seconds
        Checkpoint._all.add(self)

    @property
    def due(self) -> bool:
        """Whether the last save was long enough ago and no write is still waiting for the storage."""
        return time.monotonic() >= self._due and not (Checkpoint._writing and Checkpoint._writing.is_alive())

    def save(self, state: dict[str, Any], began: float | None = None) -> bool:
        """Replaces the file.

        Args:
            state: The state to save.
            began: Time at which collecting the state began, if that takes long (`time.monotonic`).

        Returns:
            Whether the file was written in time; a write that hangs may still finish later.
        """
        began = time.monotonic() if began is None else began
        try:
            content = _dumped({"identity": self._identity, **state})
        except Exception:
            # A user's learner may have a state that cannot be pickled.
            self._space(began)
            return False
        results: list[bool] = []
        writing = threading.Thread(target=lambda: results.append(self._write(content, began)), daemon=True)
        Checkpoint._writing = writing
        writing.start()
        writing.join(_PATIENCE)
        return results == [True]

    def _write(self, content: memoryview, began: float) -> bool:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as fresh:
                fresh.write_bytes(content)
        except OSError:
            # A full disk must not end the trial.
            return False
        finally:
            self._space(began)
        return True

    def _space(self, began: float) -> None:
        now = time.monotonic()
        # On a slow disk saves are up to ten times as far apart, so that those of all trials of the process together
        # take at most a tenth of the time.
        self._due = now + max(self._seconds, min(9 * (now - began) * len(Checkpoint._all), 10 * self._seconds))

    def load(self) -> dict[str, Any] | None:
        """The last saved state of this task; None if there is none that can be read."""
        try:
            state: dict[str, Any] = _load(self._path)
        except Exception:
            return None
        return state if state.get("identity") == self._identity else None

    def discard(self) -> None:
        """Removes the file, if there is one."""
        _remove(self._path)


class CheckpointFolder:
    """The checkpoints of a study, as seen from the machine that runs it.

    Attributes:
        out: The study's directory, in which the folder lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.out = self._path.parent

    def file_of(self, trial_id: str) -> Path:
        """The checkpoint file of a trial."""
        return self._path / f"{file_name(trial_id)}{_SUFFIX}"

    def discard(self, trial_id: str) -> None:
        """Removes a trial's checkpoint, if there is one."""
        _remove(self.file_of(trial_id))

    def prune(self, in_flight: Iterable[str], most: int) -> None:
        """Removes all files but the newest ``most`` checkpoints of trials in flight; half-written files too."""
        resumable = {self.file_of(trial_id) for trial_id in in_flight}
        files = list(self._path.iterdir()) if self._path.is_dir() else []
        newest = sorted((path for path in files if path in resumable), key=_mtime, reverse=True)
        for path in {*files} - {*newest[:most]}:
            _remove(path)


def try_beside(mark: Path) -> tuple[bool, str]:
    """Tries to write to the folder of checkpoints, and removes what it wrote.

    Args:
        mark: A file in that folder that another machine has written.

    Returns:
        Whether this machine sees the file, and the reason why it cannot write there; empty if it can.
    """
    folder = mark.parent
    fresh = folder / f".try.{uuid.uuid4().hex}"
    new_folders: list[Path] = []
    try:
        new_folders += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(b"x")
        return mark.exists(), ""
    except OSError as error:
        return False, error.strerror or str(error)
    finally:
        _remove(fresh)
        with suppress(OSError):
            for path in new_folders:
                path.rmdir()


def _dumped(state: dict[str, Any]) -> memoryview:
    """Bytes of a state; in torch's format if torch is imported, so that loading needs no device of the old process."""
    content = io.BytesIO()
    if "torch" in sys.modules:
        sys.modules["torch"].save(state, content)
    else:
        pickle.dump(state, content, protocol=pickle.HIGHEST_PROTOCOL)
    return content.getbuffer()


def _load(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        import torch

        return torch.load(path, map_location="cpu", weights_only=False)
    with path.open("rb") as file:
        return pickle.load(file)


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
