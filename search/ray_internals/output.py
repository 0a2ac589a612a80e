"""Keeps Ray's own messages about processes that died off the terminal."""

from __future__ import annotations

from typing import Any

from phitune.search.ray_internals.touch import Touch, require


def _check() -> None:
    from ray._private import worker

    require(worker, "print_to_stdstream")


TOUCH = Touch("Ray's own messages about processes that died appear between the search's", _check)


def mute_raylet() -> None:
    """Drops what Ray prints of processes that have died: the trials' reasons say it."""
    if TOUCH.missing:
        return
    from ray._private import worker

    show = worker.print_to_stdstream

    def show_others(data: dict[str, Any], *rest: Any, **more: Any) -> None:
        if data.get("pid") != "raylet":
            show(data, *rest, **more)

    worker.print_to_stdstream = show_others
