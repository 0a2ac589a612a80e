"""A real Ray cluster on this machine, each node a process group that can be killed alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE, environment
from tests.system.harness.clusters.start import free_address, kill_node, new_token, start_node

_PORTS = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")

_LIST = """
import json, sys
from ray._raylet import GcsClient
nodes = GcsClient(address=sys.argv[1]).get_all_node_info()
table = {id.hex(): {"alive": node.state == 0, **node.resources_total} for id, node in nodes.items()}
print(json.dumps(table))
"""


class Cluster:
    """A head, and nodes that join it.

    Args:
        folder: Folder of Ray's own files; its path must be short.
        cpus: CPUs of the head.
        config: Ray's system configuration, such as when a silent node counts as dead.

    Attributes:
        address: HOST:PORT, the same after a restart.
        token: Environment that holds its token.
    """

    def __init__(self, folder: Path, cpus: int, config: Mapping[str, Any]) -> None:
        self._folder, self._cpus, self._config = folder, cpus, config
        self.address = free_address()
        self.token = new_token()
        self._nodes: list[subprocess.Popen[bytes]] = []
        self.start_head()

    def start_head(self) -> None:
        """Starts the head, or starts it again at the same address."""
        port = self.address.rpartition(":")[2]
        options = [f"--port={port}", f"--num-cpus={self._cpus}", f"--temp-dir={self._folder}"]
        options += ["--include-dashboard=false", f"--system-config={json.dumps(self._config)}"]
        self.head = self._start("--head", *options)

    def add_node(self, cpus: int, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Starts a node.

        Args:
            within: Command line that the node's is appended to, such as ``unshare --mount``.
        """
        return self._start(f"--address={self.address}", f"--num-cpus={cpus}", within=within)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kills all processes of a node at once."""
        kill_node(node)

    def remove_node(self, node: subprocess.Popen[bytes]) -> None:
        """Ends a node in good order, so that the head knows at once."""
        node.terminate()
        node.wait(timeout=PATIENCE)
        kill_node(node)
        self._nodes.remove(node)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The head's table of nodes: ``alive`` and ``CPU`` by node id."""
        return dict(json.loads(self._run("-c", _LIST, self.address)))

    def drain(self, node_id: str, seconds: int) -> None:
        """Announces that a node leaves in so many seconds, as a cloud does before it takes a spot machine back."""
        arguments = [f"--address={self.address}", f"--node-id={node_id}", "--reason=DRAIN_NODE_REASON_PREEMPTION"]
        arguments += ["--reason-message=spot", f"--deadline-remaining-seconds={seconds}"]
        self._run("-m", "ray.scripts.scripts", "drain-node", *arguments)

    def close(self) -> None:
        """Kills the nodes that are left."""
        for node in self._nodes:
            self.kill(node)

    def _run(self, *arguments: str) -> str:
        """Output of a Python process; this process would keep the first cluster's token."""
        process = subprocess.run(
            [sys.executable, *arguments], env=environment(**self.token), capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    def _start(self, *options: str, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        output = self._folder / f"out-{len(self._nodes)}"
        node = start_node(output, [*_PORTS, *options], self.token, within)
        self._nodes.append(node)
        return node


@contextmanager
def ray_cluster(cpus: int, config: Mapping[str, Any] | None = None) -> Iterator[Cluster]:
    """Starts a cluster of a head alone; kills all its nodes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    cluster = None
    try:
        cluster = Cluster(folder, cpus, config or {})
        yield cluster
    finally:
        if cluster:
            cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
