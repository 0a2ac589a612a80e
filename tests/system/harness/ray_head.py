"""A real Ray cluster of one machine with its dashboard, on loopback, with a token, in processes of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import environment
from tests.system.harness.ray_start import free_ports, kill_node, start_node

TOKEN = "head-token-5d1f0c" * 3


@dataclass(frozen=True)
class Head:
    """Where it is.

    Attributes:
        dashboard: URL of the job server.
        gcs: HOST:PORT that drivers join.
        home: The home directory of its jobs.
        temp: Ray's own files, logs among them.
        env: The environment of one who may use it.
    """

    dashboard: str
    gcs: str
    home: Path
    temp: Path
    env: dict[str, str]


@contextmanager
def ray_head(more: Mapping[str, str]) -> Iterator[Head]:
    """Starts a head with two CPUs, with ``more`` in its environment; ends it with all its processes."""
    # Ray's sockets lie below, and their paths must be short.
    temp = Path(tempfile.mkdtemp(prefix="ph", dir="/tmp"))
    home = temp / "home"
    home.mkdir()
    port, agent, client = free_ports(3)
    env = {
        **environment(),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    arguments = ["--port=0", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    arguments += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}", "--num-cpus=2"]
    try:
        process = start_node(temp / "log", ["--head", f"--temp-dir={temp / 'r'}", *arguments], {**env, **more})
    except AssertionError:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    try:
        dashboard = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{dashboard}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
        for _ in range(480):
            assert process.poll() is None, (temp / "log").read_text(encoding="utf-8")
            try:
                urllib.request.urlopen(request, timeout=5)
                break
            except OSError:
                time.sleep(0.25)
        gcs = (temp / "r/ray_current_cluster").read_text(encoding="utf-8")
        yield Head(dashboard, gcs, home, temp, env)
    finally:
        # It ends its own; what it leaves is ended after it.
        process.terminate()
        process.wait(timeout=60)
        kill_node(process)
        shutil.rmtree(temp, ignore_errors=True)
