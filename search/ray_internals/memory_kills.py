"""Tune goes on when Ray's memory monitor kills the process of a trial."""

from __future__ import annotations

from typing import Any

from ray.exceptions import OutOfMemoryError, RayActorError

from phitune.search.ray_internals.touch import Touch, require


def _check() -> None:
    from ray.tune.execution import tune_controller

    require(tune_controller, "RayActorManager")
    require(tune_controller.RayActorManager, "_actor_start_failed", "_actor_task_failed")


TOUCH = Touch("a trial that Ray kills for memory may end the search", _check)


def survive_memory_kills() -> None:
    """Makes Tune treat a process that was killed for memory as one that died; Ray 2.60's ends the whole search."""
    if TOUCH.missing:
        return
    from ray.tune.execution import tune_controller

    if hasattr(tune_controller.RayActorManager, "survives_memory_kills"):
        return

    class ActorManager(tune_controller.RayActorManager):  # type: ignore[misc]
        survives_memory_kills = True

        def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
            super()._actor_start_failed(tracked_actor, _as_death(exception))

        def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
            super()._actor_task_failed(tracked_actor_task, _as_death(exception))

    tune_controller.RayActorManager = ActorManager


def _as_death(error: Exception) -> Exception:
    return RayActorError(error_msg=str(error)) if isinstance(error, OutOfMemoryError) else error
