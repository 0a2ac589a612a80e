"""Trials of a population on Ray: each has a light process of its own, and one process a device trains them all."""

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

from phitune.trainables.errors import ProcessLostError, TaskGoneError
from phitune.trainables.training.task import spoils_process

_REGISTRY = "phitune-populations"
# Seconds for which a trial's process waits for a report before it calls again, which renews its lease.
_PATIENCE = 5.0
_RETRY = 0.5


class PopulationLostError(ProcessLostError):
    """The process that trains a trial's population has died."""


class PopulationHost:
    """Ray actor around `trainables.population.host.Host`; its process sees one GPU or none."""

    def __init__(self, gpu: str | None, threads: int) -> None:
        # Set before torch is imported.
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu or ""
        os.environ["OMP_NUM_THREADS"] = str(threads)
        from phitune.trainables.population.host import Host

        self._host = Host("cpu" if gpu is None else "cuda")

    async def submit(self, key: str, text: str, rows: int) -> bool:
        return self._host.submit(key, text, rows)

    async def resume(self, key: str) -> None:
        self._host.resume(key)

    async def report(self, key: str, seconds: float) -> dict[str, Any] | None:
        if self._host.stuck:
            # A task that hangs, and whose own process was killed for that, holds up all others.
            os._exit(1)
        report = asyncio.wrap_future(self._host.report(key))
        await asyncio.wait([report], timeout=seconds)
        if not report.done():
            return None
        error = report.exception()
        if error is not None and spoils_process(error):
            os._exit(1)
        return report.result()

    async def remove(self, key: str) -> None:
        self._host.remove(key)


class PopulationRegistry:
    """Ray actor that starts the processes that train populations and knows their handles; they end with it."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, str | None, int], Any] = {}

    def host(self, node: str, gpu: str | None, number: int, threads: int, lost: Any = None) -> Any:
        """The handle of a node's host, which is started if need be.

        Args:
            node: Ray's id of the node.
            gpu: Its GPU; None for a host on CPUs.
            number: Number of the host among those of the GPU or of the node's CPUs.
            threads: Threads of torch in the host.
            lost: Handle of a host that has died and is to be replaced.
        """
        key = (node, gpu, number)
        known = self._hosts.get(key)
        if known is None or known == lost:
            here = NodeAffinitySchedulingStrategy(node, soft=False)
            # Its trials' own processes reserve its resources.
            started = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(PopulationHost)
            self._hosts[key] = started.remote(gpu, threads)
        return self._hosts[key]


def start_populations() -> Any:
    """Starts the registry by whose name trials find their hosts; it ends with its handle or with the driver."""
    return ray.remote(num_cpus=0, name=_REGISTRY)(PopulationRegistry).remote()


class Relay:
    """Worker-side proxy of a trial: submits it to the device's host and forwards its reports.

    Args:
        key: The trial's id.
        text: The task (`trainables.training.task.Task`).
        population: ``rows``, the number of trials that train together, and the ``cpu`` and ``gpu`` that each occupies.
    """

    def __init__(self, key: str, text: str, population: Mapping[str, Any]) -> None:
        self._key, self._text = key, text
        self._rows, self._cpu, self._gpu = int(population["rows"]), float(population["cpu"]), float(population["gpu"])
        self._threads = max(1, int(self._cpu))
        self._host: Any = None

    def report(self) -> dict[str, Any]:
        """Trains the trial to its next report.

        Raises:
            PopulationLostError: The process that trained it has died.
            Exception: An error that a fresh process may not meet.
        """
        try:
            while True:
                if self._host is None:
                    self._host = self._accepting_host()
                try:
                    ray.get(self._host.resume.remote(self._key))
                    while (report := ray.get(self._host.report.remote(self._key, _PATIENCE))) is None:
                        pass
                    return dict(report)
                except TaskGoneError:
                    self._host = None
        except RayTaskError as error:
            raise error.cause from None
        except RayActorError as error:
            raise PopulationLostError("the process that trains its population died") from error

    def close(self, waits: bool = True) -> bool:
        """Removes the trial from its host; always true, as that needs no waiting."""
        if self._host is not None:
            self._host.remove.remote(self._key)
        return True

    def _accepting_host(self) -> Any:
        """Submits the trial to the device's hosts in turn until one has room, which is when leases of dead ones end."""
        gpus = ray.get_gpu_ids()
        node = ray.get_runtime_context().get_node_id()
        place = node, str(gpus[0]) if gpus else None
        count = max(1, round(1 / self._gpu)) if gpus else _hosts(node, self._cpu)
        # Trials start with different hosts, so that few trials do not crowd into one.
        for number in itertools.count(os.getpid()):
            host = self._submitted(*place, number % count)
            if host is not None:
                return host
            if number % count == 0:
                time.sleep(_RETRY)
        raise AssertionError("it counts for ever")

    def _submitted(self, node: str, gpu: str | None, number: int) -> Any:
        """A host to which the trial was submitted, replaced if it has died; None if it has no room."""
        registry, lost = ray.get_actor(_REGISTRY), None
        while True:
            host = ray.get(registry.host.remote(node, gpu, number, self._threads, lost))
            try:
                return host if ray.get(host.submit.remote(self._key, self._text, self._rows)) else None
            except RayActorError:
                if lost is not None:
                    raise
                lost = host


@lru_cache(maxsize=1)
def _hosts(node: str, cpu: float) -> int:
    """Number of populations that a node's CPUs train at once."""
    cpus = next(each["Resources"].get("CPU", 1.0) for each in ray.nodes() if each["NodeID"] == node)
    return max(1, int(cpus / cpu + 1e-9))
