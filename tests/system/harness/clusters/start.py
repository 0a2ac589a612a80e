"""``ray start`` as a process group that is apart from other clusters on this machine."""

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

_PATIENCE = 300.0


def new_token() -> dict[str, str]:
    """Environment with a fresh token, for starting a cluster and for using it."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}


def free_ports(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_address() -> str:
    """Free HOST:PORT for a head that listens on all of this machine's interfaces."""
    return f"{get_node_ip_address()}:{free_ports(1)[0]}"


def start_node(
    output: Path, options: Sequence[str], env: Mapping[str, str], within: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Starts a head or a node and waits until it is up.

    Args:
        output: File for its output.
        options: Options of ``ray start``.
        env: More environment variables.
        within: Command line that ``ray start`` is appended to, such as ``unshare --mount``.
    """
    ray = [*within, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
    here = environment(PYTHONPATH=str(Path(__file__).parents[4]), RAY_USAGE_STATS_ENABLED="0")
    with output.open("w") as out:
        node = subprocess.Popen(ray, env=here | dict(env), stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + _PATIENCE
    while "Ray runtime started" not in output.read_text():
        if node.poll() is not None or time.monotonic() > deadline:
            kill_node(node)
            raise AssertionError(output.read_text())
        time.sleep(0.2)
    return node


def kill_node(node: subprocess.Popen[bytes]) -> None:
    """Kills all processes of a node at once."""
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()
