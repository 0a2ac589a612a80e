"""A real Ray cluster of one machine with its dashboard, on loopback, with a token, in processes of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PATIENCE, environment
from tests.system.harness.clusters.start import free_ports, kill_node, start_node
from tests.system.harness.servers.answering import wait_for_answer

TOKEN = "head-token-5d1f0c" * 3


@dataclass(frozen=True)
class Head:
    """A running head.

    Attributes:
        dashboard: URL of the job server.
        gcs: HOST:PORT that drivers join.
        home: Home directory of its jobs.
        temp: Folder of Ray's own files, logs among them.
        env: Environment of a user who has the token.
    """

    dashboard: str
    gcs: str
    home: Path
    temp: Path
    env: dict[str, str]


@contextmanager
def ray_head(more: Mapping[str, str]) -> Iterator[Head]:
    """Starts a head with two CPUs and ``more`` in its environment; ends all its processes afterwards."""
    # Ray's sockets lie below, and their paths must be short.
    temp = Path(tempfile.mkdtemp(prefix="ph", dir="/tmp"))
    home = temp / "home"
    home.mkdir()
    port, agent, client = free_ports(3)
    env = environment(
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        PYTHONPATH=str(Path(__file__).parents[4]),
        HOME=str(home),
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=TOKEN,
        RAY_USAGE_STATS_ENABLED="0",
    )
    arguments = ["--port=0", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    arguments += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}", "--num-cpus=2"]
    try:
        process = start_node(temp / "log", ["--head", f"--temp-dir={temp / 'r'}", *arguments], {**env, **more})
    except AssertionError:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    try:
        dashboard = f"http://127.0.0.1:{port}"
        wait_for_answer(f"{dashboard}/api/jobs/", process, temp / "log", Authorization=f"Bearer {TOKEN}")
        gcs = (temp / "r/ray_current_cluster").read_text(encoding="utf-8")
        yield Head(dashboard, gcs, home, temp, env)
    finally:
        # Ray ends its own processes; what is left is killed after that.
        process.terminate()
        process.wait(timeout=PATIENCE)
        kill_node(process)
        shutil.rmtree(temp, ignore_errors=True)
