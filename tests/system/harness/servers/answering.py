"""Servers that take a while to start."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path

from tests.conftest import PATIENCE


def wait_for_answer(url: str, process: subprocess.Popen[bytes], log: Path | None = None, **headers: str) -> None:
    """Waits until a server answers a request; fails, with its log, if its process ends before that."""
    request = urllib.request.Request(url, headers=headers)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, log.read_text(encoding="utf-8") if log else "the server ended"
        try:
            urllib.request.urlopen(request, timeout=10).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.1)
