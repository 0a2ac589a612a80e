"""The cluster's nodes, and the autoscaler that may bring more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
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
    """The resources of the nodes that are there now."""
    return [node["Resources"] for node in living()]


def may_come(bundle: Mapping[str, float]) -> bool:
    """Whether the autoscaler, if there is one, has a type of node that holds such a bundle; asks it for one."""
    if autoscaling() is None:
        return False
    probe = placement_group([dict(bundle)])
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and not probe.wait(1):
            state = autoscaling()
            if state is None or _refused(state, probe.id.hex()):
                return False
            if _bringing(state):
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
        state = autoscaling()
        if state is None:
            return 0
        now = self._clock()
        if _bringing(state) or now >= self._next:
            self._until, self._next = now + _ASK, now + _EVERY
        return AHEAD if now < self._until else 0


def autoscaling() -> AutoscalingState | None:
    """What Ray's autoscaler, the second, which `ray up` and KubeRay start, says of itself; None without one."""
    # Ray's own `ray status` asks so; there is no public way.
    reply = GetClusterStatusReply.FromString(global_worker.gcs_client.get_cluster_status())
    return reply.autoscaling_state if reply.HasField("autoscaling_state") else None


def _bringing(state: AutoscalingState) -> bool:
    return bool(state.pending_instance_requests or state.pending_instances)


def _refused(state: AutoscalingState, group: str) -> bool:
    return any(group in gang.details for gang in state.infeasible_gang_resource_requests)
