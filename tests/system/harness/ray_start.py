"""``ray start`` as a process group of this test's own, which nothing else on the machine notices."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ray.util import get_node_ip_address

from tests.conftest import environment

_PATIENCE = 120.0


def new_token() -> dict[str, str]:
    """The environment of those who may use a cluster that is started in it."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("", 0))
        return [int(one.getsockname()[1]) for one in found]


def free_address() -> str:
    """HOST:PORT for a head that listens on all of this machine's interfaces."""
    return f"{get_node_ip_address()}:{free_ports(1)[0]}"


def start_node(
    told: Path, options: Sequence[str], env: Mapping[str, str], within: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Starts a head or a node and waits until it says that it is up.

    Args:
        told: The file that what it says goes to.
        options: Of ``ray start``.
        env: More for its environment.
        within: A command that starts the command that follows it, in other surroundings.
    """
    ray = [*within, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
    here = {"PYTHONPATH": str(Path(__file__).parents[3]), "RAY_USAGE_STATS_ENABLED": "0"}
    with told.open("w") as out:
        node = subprocess.Popen(ray, env=environment() | here | env, stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + _PATIENCE
    while "Ray runtime started" not in told.read_text():
        if node.poll() is not None or time.monotonic() > deadline:
            kill_node(node)
            raise AssertionError(told.read_text())
        time.sleep(0.2)
    return node


def kill_node(node: subprocess.Popen[bytes]) -> None:
    """Kills all processes of a node at once."""
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()
