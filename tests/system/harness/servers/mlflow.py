"""A real MLflow server in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PATIENCE, environment
from tests.system.harness.servers.answering import wait_for_answer


@contextmanager
def server(folder: Path, port: int, database: str, *options: str, **more: str) -> Iterator[str]:
    """Starts a server, waits until it answers and yields its URI.

    Args:
        folder: Working directory, and where artifacts go.
        database: SQLAlchemy URI of the database that holds the runs.
        options: More options of ``mlflow server``.
        more: More environment variables.
    """
    uri = f"http://127.0.0.1:{port}"
    arguments = ["--backend-store-uri", database, "--port", str(port), "--workers", "1"]
    arguments += ["--artifacts-destination", str(folder / "artifacts")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *arguments, *options],
        cwd=folder,
        # Runners of evaluation jobs would take half a minute of CPU.
        env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_answer(f"{uri}/health", process)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
