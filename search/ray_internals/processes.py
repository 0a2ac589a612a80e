"""Ray's own processes on this machine, where this process started them."""

from __future__ import annotations

from typing import Any

from phitune.search.ray_internals.touch import Touch, require, require_stored


def _check() -> None:
    from ray._private import node, worker

    require(worker, "_global_node")
    require_stored(node.Node.__init__, "all_processes")
    require(node.Node, "dead_processes", "kill_all_processes")


TOUCH = Touch("the death of Ray's processes on this machine is noticed late", _check)


class OwnProcesses:
    """The processes of the Ray that this process started; false if it started none."""

    def __init__(self) -> None:
        self._node: Any = None
        if not TOUCH.missing:
            from ray._private import worker

            self._node = worker._global_node

    def __bool__(self) -> bool:
        return self._node is not None and bool(self._node.all_processes)

    def dead(self) -> set[str]:
        """The kinds of those that have died, such as ``raylet``."""
        return {kind for kind, _ in self._node.dead_processes()}

    def kill(self) -> None:
        """Kills all of them at once."""
        self._node.kill_all_processes(check_alive=False, allow_graceful=False)
