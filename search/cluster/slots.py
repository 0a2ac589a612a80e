"""How many trials the cluster holds at once, while nodes come and go and trials need different resources."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from ray.tune import PlacementGroupFactory

from phitune.search.cluster.nodes import Node, Upscaling, living_nodes
from phitune.search.study.sections import Resources

_LOOK_EVERY = 1.0
#: Names of resources: the study file's and Ray's.
RAYS_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def bundle(resources: Resources) -> dict[str, float]:
    """Resources on one node under Ray's names, rounded down to its four decimals so that six sixths fit into one."""
    amounts = {name: getattr(resources, field) for field, name in RAYS_NAMES.items()}
    return {name: math.floor(amount * 1e4 + 1e-6) / 1e4 for name, amount in amounts.items() if amount}


def group(amounts: Mapping[str, float], nodes: int) -> PlacementGroupFactory:
    """What Ray reserves for a trial, all at once: a bundle on each of so many nodes."""
    return PlacementGroupFactory([dict(amounts)] * nodes, strategy="STRICT_SPREAD" if nodes > 1 else "PACK")


def room(resources: Resources) -> str:
    """Where a trial has room, such as ``a node with 2 CPUs``."""
    if resources.nodes == 1:
        return f"a node with {words(resources)}"
    return f"{resources.nodes} nodes with {words(resources)} each"


def words(resources: Resources) -> str:
    """Resources on one node in words, such as ``2 CPUs and 1 GPU``."""
    return " and ".join(
        f"{amount:g} {name}" + ("s" if amount > 1 else "") for name, amount in bundle(resources).items()
    )


def places(resources: Resources, nodes: Sequence[Node]) -> int:
    """How many trials fit on empty nodes."""
    fitting = [_fitting(bundle(resources), node) for node in nodes]
    count = sum(fitting) // resources.nodes
    # No two parts of a trial share a node.
    while (fewer := sum(min(each, count) for each in fitting) // resources.nodes) < count:
        count = fewer
    return count


def packed(nodes: Sequence[Node], taken: Mapping[Resources, int]) -> tuple[list[Node], Counter[Resources]]:
    """The free resources of nodes with ``taken`` trials on them, and the trials of each kind that do not fit.

    Trials are packed as densely as possible: the most demanding first, those without a GPU on nodes without one, as
    Ray places them.
    """
    free = [Counter(node) for node in nodes]
    over: Counter[Resources] = Counter()
    for kind, count in sorted(taken.items(), key=lambda item: (-item[0].gpu, -item[0].nodes, -item[0].cpu)):
        amounts = bundle(kind)
        while kind.nodes > 1 and count:
            roomiest = sorted(free, key=lambda node: -_fitting(amounts, node))[: kind.nodes]
            if not places(kind, roomiest):
                break
            for node in roomiest:
                node.subtract(amounts)
            count -= 1
        if kind.nodes > 1:
            over[kind] = count
            continue
        for node in sorted(free, key=lambda node: node["GPU"] > 0) if not kind.gpu else free:
            here = min(count, _fitting(amounts, node))
            node.subtract({name: here * amount for name, amount in amounts.items()})
            count -= here
        over[kind] = count
    return list(free), over


def _fitting(amounts: Mapping[str, float], node: Node) -> int:
    # Three thirds of a GPU fit into one.
    return max(0, int(min(math.floor(node.get(name, 0.0) / amount + 1e-9) for name, amount in amounts.items())))


class Slots:
    """Counts the trials in flight by their resources, how many more may start, and the slots over time.

    Trials may start before there are nodes for them, since an autoscaler starts nodes for waiting trials only. Where
    no node can hold a kind of trial, one trial of the kind may start all the same, and waits.

    Args:
        kinds: The resources that trials of the study may occupy.
        nodes: Returns the nodes' resources.
        ahead: Returns how many trials may wait for nodes.
        clock: Returns seconds.
    """

    def __init__(
        self,
        kinds: Collection[Resources],
        nodes: Callable[[], Sequence[Node]] = living_nodes,
        ahead: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kinds = sorted(set(kinds), key=lambda kind: (kind.gpu, kind.cpu, kind.nodes))
        self._ask_nodes, self._ask_ahead = nodes, ahead or Upscaling(clock).ahead
        self._clock = clock
        self._taken: Counter[Resources] = Counter()
        self._idle: Counter[Resources] = Counter()
        self._seconds, self._looked = 0.0, clock()
        self._nodes: Sequence[Node] = ()
        self._ahead = 0
        self._here: dict[Resources, int] = {}
        self._count()

    def look(self) -> None:
        """Reads the cluster's nodes again if the last reading is at least a second old."""
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._pass()
            self._count()

    def take(self, kind: Resources) -> None:
        """Counts a trial that starts, in an idle process if there is one."""
        self._taken[kind] += 1
        self._idle[kind] = max(0, self._idle[kind] - 1)

    def free(self, kind: Resources) -> None:
        """Counts a trial that has ended; its process stays idle for the next of its kind."""
        self._taken[kind] -= 1
        self._idle[kind] = min(self._idle[kind] + 1, self._here[kind])

    def may_start(self, kind: Resources) -> bool:
        """Whether another trial of a kind may start."""
        others = Counter({other: count for other, count in self._idle.items() if other != kind})
        fitting, over = self._left(kind, self._taken + others)
        return bool(fitting) or over < self._ahead or not (self._here[kind] or self._taken[kind])

    def release(self, kinds: Collection[Resources]) -> None:
        """Stops keeping idle processes of these kinds, so that other kinds can use their resources."""
        for kind in kinds:
            self._idle[kind] = 0

    def warm(self) -> dict[Resources, int]:
        """How many processes to keep of each kind."""
        if len(self._kinds) == 1:
            return self._here
        return {kind: self._taken[kind] + self._idle[kind] for kind in self._kinds}

    @property
    def now(self) -> int:
        """Placed trials and free places, at least one."""
        left = [self._left(kind, self._taken) for kind in self._kinds]
        return max(1, self._taken.total() - left[0][1] + max(fitting for fitting, _ in left))

    @property
    def seconds(self) -> float:
        """The integral of the slots over time since the start: slots × seconds."""
        self._pass()
        return self._seconds

    def waiting(self) -> Counter[Resources]:
        """The trials of each kind that wait for a node."""
        if len(self._kinds) > 1:
            return +packed(self._nodes, self._taken)[1]
        return Counter({kind: over for kind in self._kinds if (over := self._left(kind, self._taken)[1])})

    def _left(self, kind: Resources, taken: Counter[Resources]) -> tuple[int, int]:
        """How many more trials of a kind fit, and how many of all kinds do not."""
        if len(self._kinds) == 1:
            more = self._here[kind] - taken[kind]
            return max(more, 0), max(-more, 0)
        free, over = packed(self._nodes, taken)
        return places(kind, free), over.total()

    def _pass(self) -> None:
        now = self._clock()
        self._seconds += self.now * (now - self._looked)
        self._looked = now

    def _count(self) -> None:
        self._nodes, self._ahead = self._ask_nodes(), self._ask_ahead()
        self._here = {kind: places(kind, self._nodes) for kind in self._kinds}
