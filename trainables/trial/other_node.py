"""The other nodes of a trial that trains on several, on Ray: an actor on each, in the trial's placement group."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from phitune.trainables.errors import ProcessLostError
from phitune.trainables.training.function.nodes import Nodes, OtherNode

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

# Seconds for an actor to start. Where a process was kept for the next trial, a node of its group may have gone.
_PATIENCE = 120.0


class Starter:
    """Ray actor that starts processes on its node; they die with it, and it dies with the trial's own process."""

    def __init__(self, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._processes: list[SpawnProcess] = []

    def start(self, jobs: Sequence[bytes]) -> None:
        import torch

        from phitune.trainables.training.function.processes import work

        context = torch.multiprocessing.get_context("spawn")
        self.kill()
        self._processes = [context.Process(target=work, args=(job,)) for job in jobs]
        for process in self._processes:
            process.start()

    def exit_codes(self) -> list[int | None]:
        return [process.exitcode for process in self._processes]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


class RayNode(OtherNode):
    """Another node of a trial, known by its bundle of the trial's placement group.

    Args:
        group: The trial's placement group.
        index: The bundle's.
        bundle: What it holds.
    """

    def __init__(self, group: PlacementGroup, index: int, bundle: Mapping[str, float]) -> None:
        self._options = {
            "num_cpus": bundle.get("CPU", 0.0),
            "num_gpus": bundle.get("GPU", 0.0),
            "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
        }
        self._threads = max(1, int(bundle.get("CPU", 1.0)))
        self._starter: Any = None
        self._answer: Any = None

    def start(self, jobs: Sequence[bytes]) -> None:
        self._answer = None
        if self._starter is None:
            self._starter = ray.remote(Starter).options(**self._options).remote(self._threads)
        self._get(self._starter.start.remote(jobs), _PATIENCE)

    def exit_codes(self, patience: float = 0.0) -> Sequence[int | None] | None:
        self._answer = self._answer or self._starter.exit_codes.remote()
        if not ray.wait([self._answer], timeout=patience)[0]:
            return None
        answer, self._answer = self._answer, None
        codes: list[int | None] = self._get(answer, None)
        return codes

    def kill(self) -> None:
        if self._starter is not None:
            with suppress(ProcessLostError):
                self._get(self._starter.kill.remote(), _PATIENCE)

    def _get(self, answer: Any, patience: float | None) -> Any:
        try:
            return ray.get(answer, timeout=patience)
        except (RayActorError, GetTimeoutError) as error:
            raise ProcessLostError("a node of the trial is gone") from error


def nodes_of_trial(bundle: Mapping[str, float], count: int) -> Nodes:
    """The nodes of the trial whose process this is, called in its main thread.

    Args:
        bundle: Its resources on each node.
        count: Number of nodes.
    """
    if count == 1:
        return Nodes()
    group = ray.util.get_current_placement_group()
    assert group is not None, "Tune places every trial in a group"
    others = tuple(RayNode(group, index, bundle) for index in range(1, count))
    return Nodes(ray.util.get_node_ip_address(), others)
