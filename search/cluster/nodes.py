"""The cluster's nodes, and the autoscaler that may bring more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._private.state import state
from ray._private.worker import global_worker
from ray.core.generated.autoscaler_pb2 import AutoscalingState, GetClusterStatusReply
from ray.util.placement_group import placement_group, remove_placement_group

# Ray's names and amounts: {"CPU": 8.0, "GPU": 1.0}.
Node = Mapping[str, float]

# Trials that wait, so that the autoscaler brings nodes for all of them at once.
AHEAD = 32
# Seconds for which it is shown them, and after which it is shown them again.
_ASK, _EVERY = 15.0, 60.0
_PATIENCE = 20.0


def living() -> list[dict[str, Any]]:
    """The nodes that are there now, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def living_nodes() -> list[Node]:
    """The resources of the nodes that are there now.

    Of a node that Ray drains, what is in use: what lies there goes on to the end, and nothing new is put there.
    """
    leaving = state.get_draining_nodes()
    free = state.available_resources_per_node() if leaving else {}
    return [_used(node, free) if node["NodeID"] in leaving else node["Resources"] for node in living()]


def may_come(bundle: Mapping[str, float]) -> bool:
    """Whether the autoscaler, if there is one, has a type of node that holds such a bundle; asks it for one."""
    if autoscaling() is None:
        return False
    probe = placement_group([dict(bundle)])
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and not probe.wait(1):
            told = autoscaling()
            if told is None or _refused(told, probe.id.hex()):
                return False
            if _bringing(told):
                return True
        # Neither refused nor answered: all nodes it may start are at work, or it is slow.
        return True
    finally:
        remove_placement_group(probe)


class Upscaling:
    """How many trials may wait for nodes that an autoscaler may bring.

    It is shown `AHEAD` trials that wait for as long as it brings nodes, and for some seconds a minute to see whether it
    does: a trial that waits was proposed before the outcome of others was known.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = self._next = clock()

    def ahead(self) -> int:
        """The number now."""
        told = autoscaling()
        if told is None:
            return 0
        now = self._clock()
        if _bringing(told) or now >= self._next:
            self._until, self._next = now + _ASK, now + _EVERY
        return AHEAD if now < self._until else 0


def _used(node: dict[str, Any], free: Mapping[str, Node]) -> Node:
    left = free.get(node["NodeID"], {})
    return {name: amount - left.get(name, 0.0) for name, amount in node["Resources"].items()}


def autoscaling() -> AutoscalingState | None:
    """What Ray's autoscaler, the second, which `ray up` and KubeRay start, says of itself; None without one."""
    # Ray's own `ray status` asks so; there is no public way.
    reply = GetClusterStatusReply.FromString(global_worker.gcs_client.get_cluster_status())
    return reply.autoscaling_state if reply.HasField("autoscaling_state") else None


def _bringing(told: AutoscalingState) -> bool:
    return bool(told.pending_instance_requests or told.pending_instances)


def _refused(told: AutoscalingState, group: str) -> bool:
    return any(group in gang.details for gang in told.infeasible_gang_resource_requests)
