"""How many trials the cluster holds at once, as nodes come and go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from search.sections import Resources

_LOOK_EVERY = 1.0
#: A study file's words and Ray's.
RAYS_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def places(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials fit on nodes with such resources (as `ray.nodes` tells them); a trial lies on one node."""
    asked = {name: getattr(resources, field) for field, name in RAYS_NAMES.items() if getattr(resources, field)}

    def on(node: Mapping[str, float]) -> int:
        # A third of a GPU goes three times into one.
        return int(min(math.floor(node.get(name, 0.0) / amount + 1e-9) for name, amount in asked.items()))

    return sum(map(on, nodes))


def living_nodes() -> Sequence[Mapping[str, float]]:
    """The resources of the cluster's nodes that are there now."""
    found: list[dict[str, Any]] = ray.nodes()
    return [node["Resources"] for node in found if node["Alive"]]


class Slots:
    """The number of trials that may be in flight, and how long there was room for so many.

    While no node is left it is one, so that the search waits for the next node and goes on.

    Args:
        resources: What a trial occupies.
        nodes: Where the nodes' resources are asked for.
        clock: Seconds.

    Attributes:
        now: The number.
    """

    def __init__(
        self,
        resources: Resources,
        nodes: Callable[[], Sequence[Mapping[str, float]]] = living_nodes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources = resources
        self._nodes = nodes
        self._clock = clock
        self._seconds = 0.0
        self._looked = clock()
        self.now = self._count()

    def look(self) -> int:
        """Looks again if the last look is a second ago; the number."""
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._pass()
            self.now = self._count()
        return self.now

    @property
    def seconds(self) -> float:
        """Room for trials since the start: slots × seconds."""
        self._pass()
        return self._seconds

    def _pass(self) -> None:
        now = self._clock()
        self._seconds += self.now * (now - self._looked)
        self._looked = now

    def _count(self) -> int:
        return max(1, places(self._resources, self._nodes()))
