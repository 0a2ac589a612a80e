"""A trial in flight, kept on disk by wall time, so that a new process goes on with it."""

from __future__ import annotations

import io
import os
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

# Seconds for which a trial waits for its file. Storage that hangs (a network drive whose server is away) answers
# neither yes nor no; the trial goes on meanwhile.
_PATIENCE = 2.0
_SUFFIX = ".ckpt"
# A trial id has a slash, which a file name cannot have; no id has this.
_SLASH = "@"


class Checkpoint:
    """One trial's file; replaced whole, so that it is never half written.

    Saving is a convenience: what cannot be saved or read leaves the trial as if there were no file.

    Args:
        path: The file; every machine that may go on with the trial must see it there.
        seconds: Wall time between two savings.
        identity: What trains; a file of anything else is not read.
    """

    # A process that waits for its storage does not come to it with ever more.
    _writing: ClassVar[threading.Thread | None] = None
    # A population's trials save themselves in one process, one after another.
    _all: ClassVar[WeakSet[Checkpoint]] = WeakSet()

    def __init__(self, path: Path, seconds: float, identity: Any) -> None:
        self._path = path
        self._seconds = seconds
        self._identity = identity
        self._due = time.monotonic() + seconds
        Checkpoint._all.add(self)

    @property
    def due(self) -> bool:
        """Whether the last saving was long enough ago and no other still waits for the storage."""
        return time.monotonic() >= self._due and not (Checkpoint._writing and Checkpoint._writing.is_alive())

    def save(self, state: dict[str, Any], began: float | None = None) -> bool:
        """Replaces what was saved before; says whether that was done, which it may yet be if the storage hangs.

        Args:
            state: What to save.
            began: When the state began to be put together, if that takes long (`time.monotonic`).
        """
        began = time.monotonic() if began is None else began
        try:
            content = _dumped({"identity": self._identity, **state})
        except Exception:
            # A user's learner may have a state that cannot be pickled.
            self._space(began)
            return False
        done: list[bool] = []
        writing = threading.Thread(target=lambda: done.append(self._write(content, began)), daemon=True)
        Checkpoint._writing = writing
        writing.start()
        writing.join(_PATIENCE)
        return done == [True]

    def _write(self, content: memoryview, began: float) -> bool:
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError:
            # A full disk: the trial is worth more.
            _remove(fresh)
            return False
        finally:
            self._space(began)
        return True

    def _space(self, began: float) -> None:
        now = time.monotonic()
        # On a slow disk savings are up to ten times as far apart, so that those of all trials of the process together
        # take at most a tenth of the time.
        self._due = now + max(self._seconds, min(9 * (now - began) * len(Checkpoint._all), 10 * self._seconds))

    def load(self) -> dict[str, Any] | None:
        """What was saved last, if anything fit to go on from."""
        try:
            state: dict[str, Any] = _load(self._path)
        except Exception:
            return None
        return state if state.get("identity") == self._identity else None

    def discard(self) -> None:
        """Removes the file, if there is one."""
        _remove(self._path)


class CheckpointFolder:
    """The checkpoints of a study, seen from where the study is run."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def file_of(self, trial_id: str) -> Path:
        """Where a trial is saved."""
        return self._path / f"{trial_id.replace('/', _SLASH)}{_SUFFIX}"

    def discard(self, trial_id: str) -> None:
        """Removes a trial's checkpoint, if there is one."""
        _remove(self.file_of(trial_id))

    def prune(self, in_flight: Iterable[str], most: int) -> None:
        """Removes all but the newest ``most`` of the trials that may go on, and what was left half written."""
        wanted = {self.file_of(trial_id) for trial_id in in_flight}
        found = list(self._path.iterdir()) if self._path.is_dir() else []
        newest = sorted((path for path in found if path in wanted), key=_age, reverse=True)
        for path in {*found} - {*newest[:most]}:
            _remove(path)


def try_beside(mark: Path) -> tuple[bool, str]:
    """Writes where checkpoints go, and leaves nothing there.

    Args:
        mark: A file that another machine has put there.

    Returns:
        Whether it is seen here, and why nothing can be written, if that is so.
    """
    folder = mark.parent
    fresh = folder / f".try.{uuid.uuid4().hex}"
    made: list[Path] = []
    try:
        made += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(b"x")
        return mark.exists(), ""
    except OSError as error:
        return False, error.strerror or str(error)
    finally:
        _remove(fresh)
        with suppress(OSError):
            for path in made:
                path.rmdir()


def _dumped(state: dict[str, Any]) -> memoryview:
    """In torch's format where torch is at work: it is read back without the device that it came from."""
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


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
