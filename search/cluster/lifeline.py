"""Notices when Ray itself has died; Ray would let its driver wait for ever, or end it without a message."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable

import ray

from phitune.search.ray_internals.processes import OwnProcesses

_EVERY = 1.0
# How long a cluster's head may be away.
_HEAD_AWAY = 30.0
# How long Tune may take to notice and to leave; it may be inside a call to Ray that never returns. All this is less
# than the minute after which Ray ends its driver by itself.
_TUNE_STUCK = 10.0
_EXIT_STUCK = 40.0


class RayLostError(Exception):
    """Ray has died under the search."""


class Lifeline:
    """Watches Ray's processes from a thread: those of this machine, or a cluster's head.

    Args:
        on_lost: Called in the thread with the name of what has died. Unless `close` is called soon after, the
            process ends with the exit code that it returns; also if it has not ended long after `close`.
    """

    def __init__(self, on_lost: Callable[[str], int]) -> None:
        self.lost = ""
        self._on_lost = on_lost
        self._code = 1
        self._closed = threading.Event()
        self._own = OwnProcesses()
        self._head = str(ray.get_runtime_context().gcs_address)
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def check(self) -> None:
        """Raises `RayLostError` if Ray has died."""
        if self.lost:
            raise RayLostError(self.lost)

    def explains(self) -> bool:
        """Whether an error that has just come from Ray is due to its death; waits a little for that to show."""
        deadline = time.monotonic() + 3 * _EVERY
        while not self.lost and time.monotonic() < deadline:
            time.sleep(0.1)
        return bool(self.lost)

    def close(self) -> None:
        """Ends the watch; where Ray has died, ends what is left of it."""
        self._closed.set()
        if not self.lost:
            return
        # Ray waits for the dead on leaving.
        threading.Thread(target=_leave_by_force, args=(self._code,), daemon=True).start()
        if self._own:
            self._own.kill()

    def _watch(self) -> None:
        while not self._closed.wait(_EVERY):
            lost = self._dead()
            if lost:
                self._code = self._on_lost(lost)
                self.lost = lost
                break
        if self._closed.wait(_TUNE_STUCK):
            return
        if self._own:
            self._own.kill()
        _exit(self._code)

    def _dead(self) -> str:
        if self._own:
            dead = self._own.dead() & {"raylet", "gcs_server"}
            return f"Ray's process {min(dead)} died" if dead else ""
        since = time.monotonic()
        while not self._closed.is_set():
            host, _, port = self._head.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=_EVERY).close()
                return ""
            except OSError as error:
                if time.monotonic() - since > _HEAD_AWAY:
                    return f"the Ray cluster's head at {self._head} is gone ({error})"
            self._closed.wait(_EVERY)
        return ""


def _leave_by_force(code: int) -> None:
    time.sleep(_EXIT_STUCK)
    _exit(code)


def _exit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
