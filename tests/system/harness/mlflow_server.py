"""A real MLflow server of its own."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import environment


@contextmanager
def server(folder: Path, port: int, database: str, *options: str, **more: str) -> Iterator[str]:
    """A server that answers; its URI.

    Args:
        folder: For artifacts, and where it runs.
        database: Where it keeps its runs.
        options: More of its command line.
        more: More of its environment.
    """
    uri = f"http://127.0.0.1:{port}"
    arguments = ["--backend-store-uri", database, "--port", str(port), "--workers", "1"]
    arguments += ["--artifacts-destination", str(folder / "artifacts")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *arguments, *options],
        cwd=folder,
        # Without the runners of its evaluation jobs, which are half a minute of CPU.
        env=environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(720):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=2)
                break
            except OSError:
                time.sleep(0.25)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=30)
