"""A Ray that is started for one search goes without the processes that only a lasting cluster needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phitune.search.ray_internals.touch import Touch, require


def _check() -> None:
    from ray._private import node, ray_constants, utils

    require(node.Node, "start_api_server", "start_monitor", "start_log_monitor", "webui_url", "get_gcs_client")
    require(ray_constants, "DASHBOARD_ADDRESS", "KV_NAMESPACE_DASHBOARD")
    require(utils, "get_dashboard_dependency_error")


TOUCH = Touch("a search on this machine takes some seconds longer to start", _check)


@contextmanager
def lean(follow_logs: bool) -> Iterator[None]:
    """Lets a Ray that starts inside the context be one without dashboard and autoscaler.

    Args:
        follow_logs: Whether what the workers print comes to the terminal.
    """
    if TOUCH.missing:
        yield
        return
    from ray._private import node, ray_constants, utils

    class LeanNode(node.Node):  # type: ignore[misc]
        def start_api_server(self, **options: Any) -> None:
            self._webui_url = ""
            # Ray's agent would ask for it, and complain, every second.
            kv = ray_constants.DASHBOARD_ADDRESS.encode(), b"127.0.0.1:0", True
            self.get_gcs_client().internal_kv_put(*kv, ray_constants.KV_NAMESPACE_DASHBOARD)

        def start_monitor(self) -> None:
            """Starts no autoscaler."""

        def start_log_monitor(self) -> None:
            if follow_logs:
                super().start_log_monitor()

    before = node.Node, utils.get_dashboard_dependency_error
    # Ray would import the packages of its dashboard here to see whether they are there, as they are.
    node.Node, utils.get_dashboard_dependency_error = LeanNode, lambda: None
    try:
        yield
    finally:
        node.Node, utils.get_dashboard_dependency_error = before
