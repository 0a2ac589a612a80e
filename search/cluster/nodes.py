"""The cluster's nodes, and the autoscaler that may bring more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ray
from ray.tune import PlacementGroupFactory
from ray.util.placement_group import placement_group, remove_placement_group

from phitune.search.ray_internals.autoscaler import autoscaling, free_of_draining

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import AutoscalingState

# Ray's names and amounts: {"CPU": 8.0, "GPU": 1.0}.
Node = Mapping[str, float]

# Waiting trials, so that the autoscaler starts nodes for all of them at once.
AHEAD = 32
# Seconds for which they are shown to it, and after which they are shown again.
_ASK, _EVERY = 15.0, 60.0
_PATIENCE = 20.0


def living() -> list[dict[str, Any]]:
    """The living nodes, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def living_nodes() -> list[Node]:
    """The resources of the living nodes.

    Of a node that Ray drains, only those in use count: its trials go on to the end, and none is added.
    """
    draining = free_of_draining()
    return [
        _used(node, draining[node["NodeID"]]) if node["NodeID"] in draining else node["Resources"] for node in living()
    ]


def may_come(group: PlacementGroupFactory) -> bool:
    """Whether an autoscaler can start nodes that hold such a group; requests one for a moment to see it."""
    if autoscaling() is None:
        return False
    probe = placement_group(group.bundles, strategy=group.strategy)
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and not probe.wait(1):
            state = autoscaling()
            if state is None or _refused(state, probe.id.hex()):
                return False
            if _bringing(state):
                return True
        # Neither refused nor granted: all nodes that it may start are at work, or it is slow.
        return True
    finally:
        remove_placement_group(probe)


class Upscaling:
    """How many trials may wait for nodes that an autoscaler may start.

    `AHEAD` trials wait as long as it starts nodes, and for some seconds every minute to see whether it does. There are
    no more because a waiting trial was proposed before the outcome of others was known.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = self._next = clock()

    def ahead(self) -> int:
        """Number of trials that may wait now."""
        state = autoscaling()
        if state is None:
            return 0
        now = self._clock()
        if _bringing(state) or now >= self._next:
            self._until, self._next = now + _ASK, now + _EVERY
        return AHEAD if now < self._until else 0


def _used(node: dict[str, Any], free: Node) -> Node:
    return {name: amount - free.get(name, 0.0) for name, amount in node["Resources"].items()}


def _bringing(state: AutoscalingState) -> bool:
    return bool(state.pending_instance_requests or state.pending_instances)


def _refused(state: AutoscalingState, group: str) -> bool:
    return any(group in gang.details for gang in state.infeasible_gang_resource_requests)
