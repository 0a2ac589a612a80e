"""A real PostgreSQL server, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.harness.clusters.start import free_ports
from tests.system.harness.requirements import program

OWNER = "postgres"


@contextmanager
def postgresql() -> Iterator[str]:
    """Starts a server with one empty database; yields its SQLAlchemy URI."""
    initdb = program("initdb", package="postgresql", folders="usr/lib/postgresql/*/bin")
    binaries = Path(initdb).resolve().parent
    # The server refuses to run as root, and pytest's folders are closed to others.
    root = os.geteuid() == 0
    as_owner = ["runuser", "-u", OWNER, "--"] if root else []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if root:
        shutil.chown(folder, OWNER, OWNER)

    def run(name: str, *arguments: str) -> None:
        # No pipe: a server that inherits one keeps it open.
        subprocess.run([*as_owner, str(binaries / name), *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)

    data, port = str(folder / "data"), free_ports(1)[0]
    try:
        run("initdb", "-D", data, "-U", OWNER, "-A", "trust", "--no-sync")
        listen = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", data, "-o", listen, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql://{OWNER}@127.0.0.1:{port}/{OWNER}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str) -> str:
    """Adds an empty database to a server; returns its URI."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        (count,) = connection.execute("select count(*) from pg_database").fetchone() or (0,)
        connection.execute(f"create database test_{count}")
    return f"{server.rpartition('/')[0]}/test_{count}"
