"""Another node of a trial that is this machine, without Ray."""

from __future__ import annotations

from collections.abc import Sequence

from phitune.trainables.errors import ProcessLostError
from phitune.trainables.training.function.nodes import Nodes, OtherNode
from phitune.trainables.trial.other_node import Starter


class LocalNode(OtherNode):
    """Starts processes as the actor of a node does.

    Attributes:
        gone: Whether it is silent from now on, as a machine that lost its power.
    """

    def __init__(self) -> None:
        self._starter = Starter(1)
        self.gone = False

    def start(self, jobs: Sequence[bytes]) -> None:
        self._starter.start(jobs)

    def exit_codes(self, patience: float = 0.0) -> Sequence[int | None] | None:
        if self.gone:
            raise ProcessLostError("a node of the trial is gone")
        return self._starter.exit_codes()

    def kill(self) -> None:
        self._starter.kill()


def local_nodes(count: int) -> Nodes:
    """So many nodes, this machine's process the first of them."""
    return Nodes("127.0.0.1", [LocalNode() for _ in range(count - 1)])
