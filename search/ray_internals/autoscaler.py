"""What Ray knows of nodes that leave and nodes that come; Ray's own `ray status` asks in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phitune.search.ray_internals.touch import Touch, require, require_fields

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import AutoscalingState


def _check() -> None:
    from ray._private.state import state
    from ray._raylet import InnerGcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import AutoscalingState, GetClusterStatusReply

    require(state, "get_draining_nodes", "available_resources_per_node")
    require(InnerGcsClient, "get_cluster_status")
    require_fields(GetClusterStatusReply, "autoscaling_state")
    require_fields(
        AutoscalingState, "pending_instance_requests", "pending_instances", "infeasible_gang_resource_requests"
    )


TOUCH = Touch("nodes that an autoscaler may bring are not waited for, and nodes that drain get trials", _check)


def free_of_draining() -> dict[str, Mapping[str, float]]:
    """The free resources of every node that Ray drains, by its id."""
    if TOUCH.missing:
        return {}
    from ray._private.state import state

    draining = state.get_draining_nodes()
    free = state.available_resources_per_node() if draining else {}
    return {node: free.get(node, {}) for node in draining}


def autoscaling() -> AutoscalingState | None:
    """The state of Ray's second autoscaler, which `ray up` and KubeRay start; None without one."""
    if TOUCH.missing:
        return None
    from ray._private.worker import global_worker
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply.FromString(global_worker.gcs_client.get_cluster_status())
    return reply.autoscaling_state if reply.HasField("autoscaling_state") else None
