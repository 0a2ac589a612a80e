"""A real PostgreSQL of its own, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OWNER = "postgres"


@contextmanager
def postgresql(port: int) -> Iterator[str]:
    """An empty database; its SQLAlchemy URI.

    Skips the test where PostgreSQL is not installed, but on CI fails it.
    """
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if found is None:
        reason = "PostgreSQL is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    binaries = Path(found).resolve().parent
    # It refuses to run as root, and pytest's folders are closed to others.
    root = os.geteuid() == 0
    as_owner = ["runuser", "-u", OWNER, "--"] if root else []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if root:
        shutil.chown(folder, OWNER, OWNER)

    def run(program: str, *arguments: str) -> None:
        # Its own files: a server that inherits a pipe keeps it open.
        subprocess.run(
            [*as_owner, str(binaries / program), *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True
        )

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", OWNER, "-A", "trust", "--no-sync")
        listen = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", data, "-o", listen, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql://{OWNER}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
