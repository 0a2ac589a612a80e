"""Tune goes on when Ray's memory monitor kills the process of a trial."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller


class _ActorManager(RayActorManager):  # type: ignore[misc]
    """Treats a process that was killed for memory as one that died; Ray 2.60's would end the whole search."""

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, _as_death(exception))

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, _as_death(exception))


def survive_memory_kills() -> None:
    """Makes Tune go on when Ray kills a trial's process for memory."""
    tune_controller.RayActorManager = _ActorManager


def _as_death(error: Exception) -> Exception:
    return RayActorError(error_msg=str(error)) if isinstance(error, OutOfMemoryError) else error
