"""How many trials the cluster holds at once, as nodes come and go and trials want different things."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from phitune.search.cluster.nodes import Node, Upscaling, living_nodes
from phitune.search.study.sections import Resources

_LOOK_EVERY = 1.0
#: A study file's words and Ray's.
RAYS_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def bundle(resources: Resources) -> dict[str, float]:
    """What a trial occupies, in Ray's words; Ray knows four places, and six sixths must not be more than one."""
    amounts = {name: getattr(resources, field) for field, name in RAYS_NAMES.items()}
    return {name: math.floor(amount * 1e4 + 1e-6) / 1e4 for name, amount in amounts.items() if amount}


def words(resources: Resources) -> str:
    """What a trial occupies, to be read."""
    return " and ".join(
        f"{amount:g} {name}" + ("s" if amount > 1 else "") for name, amount in bundle(resources).items()
    )


def places(resources: Resources, nodes: Sequence[Node]) -> int:
    """How many trials fit on nodes that are empty; a trial lies on one node."""
    return sum(_fitting(bundle(resources), node) for node in nodes)


def packed(nodes: Sequence[Node], taken: Mapping[Resources, int]) -> tuple[list[Node], Counter[Resources]]:
    """What is left of nodes, and the trials of each kind that do not fit.

    Trials are reckoned to lie as closely as they can, the demanding ones first, those without a GPU on nodes without
    one, as Ray places them.
    """
    free = [Counter(node) for node in nodes]
    over: Counter[Resources] = Counter()
    for kind, count in sorted(taken.items(), key=lambda item: (-item[0].gpu, -item[0].cpu)):
        asked = bundle(kind)
        for node in sorted(free, key=lambda node: node["GPU"] > 0) if not kind.gpu else free:
            here = min(count, _fitting(asked, node))
            node.subtract({name: here * amount for name, amount in asked.items()})
            count -= here
        over[kind] = count
    return list(free), over


def _fitting(asked: Mapping[str, float], node: Node) -> int:
    # A third of a GPU goes three times into one.
    return max(0, int(min(math.floor(node.get(name, 0.0) / amount + 1e-9) for name, amount in asked.items())))


class Slots:
    """The trials in flight by what they occupy, how many more may start, and how long there was room for so many.

    Trials may start ahead of nodes that an autoscaler may bring: it brings them for trials that wait. Where no node can
    hold a kind of trial, one of the kind may start all the same, and waits.

    Args:
        kinds: All that the study's trials may occupy.
        nodes: Where the nodes' resources are asked for.
        ahead: Where it is asked how many trials may wait for nodes.
        clock: Seconds.
    """

    def __init__(
        self,
        kinds: Collection[Resources],
        nodes: Callable[[], Sequence[Node]] = living_nodes,
        ahead: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kinds = sorted(set(kinds), key=lambda kind: (kind.gpu, kind.cpu))
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
        """Looks at the cluster again if the last look is a second ago."""
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._pass()
            self._count()

    def take(self, kind: Resources) -> None:
        """A trial starts, in a process that has become free if there is one."""
        self._taken[kind] += 1
        self._idle[kind] = max(0, self._idle[kind] - 1)

    def free(self, kind: Resources) -> None:
        """A trial has ended; its process is kept for the next of its kind."""
        self._taken[kind] -= 1
        self._idle[kind] = min(self._idle[kind] + 1, self._here[kind])

    def may_start(self, kind: Resources) -> bool:
        """Whether another trial of a kind may start."""
        others = Counter({other: count for other, count in self._idle.items() if other != kind})
        fitting, over = self._left(kind, self._taken + others)
        return bool(fitting) or over < self._ahead or not (self._here[kind] or self._taken[kind])

    def release(self, kinds: Collection[Resources]) -> None:
        """Gives up the processes kept for kinds of which no trial can start now: others want their room."""
        for kind in kinds:
            self._idle[kind] = 0

    def warm(self) -> dict[Resources, int]:
        """How many processes to keep of each kind."""
        if len(self._kinds) == 1:
            return self._here
        return {kind: self._taken[kind] + self._idle[kind] for kind in self._kinds}

    @property
    def now(self) -> int:
        """The trials in flight that have a place, and how many more do: at least one."""
        left = [self._left(kind, self._taken) for kind in self._kinds]
        return max(1, self._taken.total() - left[0][1] + max(fitting for fitting, _ in left))

    @property
    def seconds(self) -> float:
        """Room for trials since the start: slots × seconds."""
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
