"""Trials of a population on Ray: each keeps a light process of its own, and one process a device trains them all."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from phitune.trainables.errors import TaskGoneError
from phitune.trainables.trial.task import spoils_process

_REGISTRY = "phitune-populations"
# Seconds for which a trial's process waits for a report before it says that it is still there.
_PATIENCE = 5.0
_RETRY = 0.5


class PopulationLostError(Exception):
    """The process that trains a trial's population has died."""


class PopulationHost:
    """`trainables.population.host.Host` in a process of its own; it sees one GPU or none."""

    def __init__(self, gpu: str | None, threads: int) -> None:
        # Before torch is there.
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu or ""
        os.environ["OMP_NUM_THREADS"] = str(threads)
        from phitune.trainables.population.host import Host

        self._host = Host("cpu" if gpu is None else "cuda")

    async def begin(self, key: str, text: str, rows: int) -> bool:
        return self._host.begin(key, text, rows)

    async def go_on(self, key: str) -> None:
        self._host.go_on(key)

    async def report(self, key: str, seconds: float) -> dict[str, Any] | None:
        if self._host.stuck:
            # A task that hangs, whose own process was ended for it, holds up all others.
            os._exit(1)
        report = asyncio.wrap_future(self._host.report(key))
        await asyncio.wait([report], timeout=seconds)
        if not report.done():
            return None
        error = report.exception()
        if error is not None and spoils_process(error):
            os._exit(1)
        return report.result()

    async def end(self, key: str) -> None:
        self._host.end(key)


class PopulationRegistry:
    """Knows the processes that train populations, and starts them; they end with it."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, str | None, int], Any] = {}

    def host(self, node: str, gpu: str | None, number: int, threads: int, lost: Any = None) -> Any:
        """A node's host of a GPU, or one of those of its CPUs; a new one if there is none but the lost one."""
        key = (node, gpu, number)
        known = self._hosts.get(key)
        if known is None or known == lost:
            here = NodeAffinitySchedulingStrategy(node, soft=False)
            # What it occupies is what its trials do.
            started = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(PopulationHost)
            self._hosts[key] = started.remote(gpu, threads)
        return self._hosts[key]


def start_populations() -> Any:
    """Starts what trials of populations look for; it ends when its handle is let go, or with the driver."""
    return ray.remote(num_cpus=0, name=_REGISTRY)(PopulationRegistry).remote()


class Relay:
    """A trial as its own process has it: told to the population of its device, and reported from there.

    Args:
        key: The trial's id.
        text: The task (`trainables.trial.task.Task`).
        population: ``rows``, how many trials train together, and the ``cpu`` and ``gpu`` that they occupy.
    """

    def __init__(self, key: str, text: str, population: Mapping[str, Any]) -> None:
        self._key, self._text = key, text
        self._rows, self._cpu, self._gpu = int(population["rows"]), float(population["cpu"]), float(population["gpu"])
        self._threads = max(1, int(self._cpu))
        self._host: Any = None

    def report(self) -> dict[str, Any]:
        """Has the trial train to its next report.

        Raises:
            PopulationLostError: The process that trained it has died.
            Exception: What a fresh process may not meet.
        """
        try:
            while True:
                if self._host is None:
                    self._host = self._begun()
                try:
                    ray.get(self._host.go_on.remote(self._key))
                    while (report := ray.get(self._host.report.remote(self._key, _PATIENCE))) is None:
                        pass
                    return dict(report)
                except TaskGoneError:
                    self._host = None
        except RayTaskError as error:
            raise error.cause from None
        except RayActorError as error:
            raise PopulationLostError("the process that trains its population died") from error

    def close(self) -> None:
        """Gives the trial's place to others."""
        if self._host is not None:
            self._host.end.remote(self._key)

    def _begun(self) -> Any:
        """The host that has taken the trial; there is one as soon as those held for alive are seen to be dead."""
        gpus = ray.get_gpu_ids()
        node = ray.get_runtime_context().get_node_id()
        place = node, str(gpus[0]) if gpus else None
        count = max(1, round(1 / self._gpu)) if gpus else _hosts(node, self._cpu)
        # Which one is the first to be asked differs, so that few trials do not crowd into one.
        for number in itertools.count(os.getpid()):
            host = self._taken(*place, number % count)
            if host is not None:
                return host
            if number % count == 0:
                time.sleep(_RETRY)
        raise AssertionError("it counts for ever")

    def _taken(self, node: str, gpu: str | None, number: int) -> Any:
        """A host, if it has taken the trial; another in its place if it has died."""
        registry, lost = ray.get_actor(_REGISTRY), None
        while True:
            host = ray.get(registry.host.remote(node, gpu, number, self._threads, lost))
            try:
                return host if ray.get(host.begin.remote(self._key, self._text, self._rows)) else None
            except RayActorError:
                if lost is not None:
                    raise
                lost = host


@lru_cache(maxsize=1)
def _hosts(node: str, cpu: float) -> int:
    """How many populations a node's CPUs train at once."""
    cpus = next(each["Resources"].get("CPU", 1.0) for each in ray.nodes() if each["NodeID"] == node)
    return max(1, int(cpus / cpu + 1e-9))
