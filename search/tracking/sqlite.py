"""The embedded database: created once, fast to write, and never at risk of corruption."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

# A write-ahead log needs memory shared by all who read, so not on file systems that machines share.
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"}
_MOUNTS = Path("/proc/self/mounts")


@contextmanager
def prepared(file: Path) -> Iterator[None]:
    """Context for the first opening of a database, one process at a time: two that migrate it at once corrupt it.

    Sets SQLite's write-ahead log, where it is safe. With it a commit need not wait for the disk: a power cut may cost
    the last runs, which the study's journal has and the next start writes, and never the database.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    event.listen(Engine, "connect", _commit_quickly)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if _is_local(file.parent.resolve()):
            with closing(sqlite3.connect(file, timeout=20)) as database:
                database.execute("PRAGMA journal_mode=WAL")
        yield
    finally:
        os.close(folder)


def settle(file: Path) -> None:
    """Moves the write-ahead log into the database and to the disk, as far as readers allow."""
    with closing(sqlite3.connect(file, timeout=5)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _commit_quickly(connection: Any, _: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")


def _is_local(folder: Path) -> bool:
    try:
        mounts = [line.split()[1:3] for line in _MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return False
    holding = [(place, kind) for place, kind in mounts if folder.is_relative_to(place)]
    return bool(holding) and max(holding, key=lambda mount: len(mount[0]))[1] in _LOCAL
