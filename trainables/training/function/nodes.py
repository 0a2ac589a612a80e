"""The other nodes of a trial that trains on several: processes are started there, and heard over the network."""

from __future__ import annotations

import math
import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError, connection
from typing import TYPE_CHECKING, Any

from phitune.trainables.errors import ProcessLostError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Seconds between two looks at the other nodes.
LOOK_EVERY = 1.0
_PATIENCE = 30.0


class OtherNode(ABC):
    """A node on which a trial has resources besides its own process's."""

    @abstractmethod
    def start(self, jobs: Sequence[bytes]) -> None:
        """Starts a process for each job, which calls `processes.work` with it.

        Raises:
            ProcessLostError: The node is gone.
        """

    @abstractmethod
    def exit_codes(self, patience: float = 0.0) -> Sequence[int | None] | None:
        """How the processes ended, None for those that run; None if the node has not answered.

        Args:
            patience: Seconds to wait for the answer.

        Raises:
            ProcessLostError: The node is gone.
        """

    @abstractmethod
    def kill(self) -> None:
        """Kills the processes."""


@dataclass(frozen=True)
class Nodes:
    """The nodes of a trial.

    Attributes:
        host: Address of the trial's own, at which the others reach it.
        others: All others.
    """

    host: str = "127.0.0.1"
    others: Sequence[OtherNode] = ()


class FarProcess:
    """A process on another node, with the methods of one on this."""

    def __init__(self, node: OtherNode, number: int) -> None:
        self._node, self._number = node, number

    @property
    def exitcode(self) -> int | None:
        codes = self._node.exit_codes(_PATIENCE)
        if codes is None:
            raise ProcessLostError("a node of the trial does not answer")
        return codes[self._number]

    def join(self, timeout: float = math.inf) -> None:
        deadline = time.monotonic() + min(timeout, _PATIENCE)
        with suppress(ProcessLostError):
            while self.exitcode is None and time.monotonic() < deadline:
                time.sleep(0.05)

    def kill(self) -> None:
        self._node.kill()


class Door:
    """Where processes on other nodes report to this one; each must know the key.

    Attributes:
        address: Host and port.
        key: The key.
    """

    def __init__(self, host: str) -> None:
        self._server = socket.create_server((host, 0))
        self._server.settimeout(LOOK_EVERY)
        self.address: tuple[str, int] = self._server.getsockname()[:2]
        self.key = secrets.token_bytes(32)

    def admit(self) -> tuple[int, Connection[Any, Any]] | None:
        """The rank of a process that has come, and the connection to it; None if none came within a second."""
        try:
            arrived, _ = self._server.accept()
        except TimeoutError:
            return None
        pipe: Connection[Any, Any] = connection.Connection(arrived.detach())
        try:
            connection.deliver_challenge(pipe, self.key)
            connection.answer_challenge(pipe, self.key)
            return int(pipe.recv()), pipe
        except (AuthenticationError, EOFError, OSError):
            pipe.close()
            return None

    def close(self) -> None:
        self._server.close()


def reported(address: tuple[str, int], key: bytes, rank: int) -> Connection[Any, Any]:
    """The connection of a process on another node to the `Door`."""
    pipe = connection.Client(address, authkey=key)
    pipe.send(rank)
    return pipe
