"""What Ray lacks of the private API that a search can go without."""

from __future__ import annotations

from phitune.search.ray_internals import autoscaler, lean, memory_kills, output, processes, secrets, thrift

OPTIONAL = tuple(concern.TOUCH for concern in (thrift, memory_kills, output, secrets, processes, autoscaler, lean))


def missing() -> list[str]:
    """One line for each concern that this Ray does not allow."""
    return [touch.missing for touch in OPTIONAL if touch.missing]
