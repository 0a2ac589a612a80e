"""A real Ray head with a real autoscaler, whose provider starts nodes on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

from tests.system.harness.clusters.start import free_address, kill_node, new_token, start_node


@dataclass(frozen=True)
class Head:
    """Address of a head as HOST:PORT, and the environment that holds its token."""

    address: str
    token: Mapping[str, str]


@contextmanager
def autoscaling_head(worker: Mapping[str, float], nodes: int) -> Iterator[Head]:
    """Starts a head without room for trials, and an autoscaler that starts up to ``nodes`` nodes of one type.

    Args:
        worker: Resources of such a node.
        nodes: How many there may be at once.
    """
    address = free_address()
    # Paths of sockets must be short.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    config, output = folder / "cluster.json", folder / "out"
    config.write_text(json.dumps(_config(address, worker, nodes)), encoding="utf-8")
    token = new_token()
    env = token | {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1"}
    env |= {"RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID}
    options = [f"--port={address.rpartition(':')[2]}", f"--temp-dir={folder}", f"--autoscaling-config={config}"]
    try:
        head = start_node(output, ["--head", "--num-cpus=0", *options], env)
        try:
            yield Head(address, token)
        finally:
            kill_node(head)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _config(address: str, worker: Mapping[str, float], nodes: int) -> dict[str, Any]:
    """A cluster launcher's file, with the defaults that Ray fills in for the providers it knows."""
    lists = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
    more = ("head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude")
    provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    return {
        **{key: [] for key in (*lists, *more, "rsync_filter")},
        **{key: {} for key in ("auth", "docker", "file_mounts")},
        "file_mounts_sync_continuously": False,
        "cluster_name": "fake",
        "max_workers": nodes,
        "idle_timeout_minutes": 1,
        "upscaling_speed": 10,
        "provider": {
            "type": "external",
            "module": provider,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "launch_multiple": True,
            "gcs_address": address,
        },
        "available_node_types": {
            FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": dict(worker), "node_config": {}, "max_workers": nodes},
        },
        "head_node_type": FAKE_HEAD_NODE_TYPE,
    }
