"""What keeps Tune's own cost of a trial small and even; it touches what Tune has no settings for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Callback, PlacementGroupFactory
from ray.tune.experiment import Trial as TuneTrial

from phitune.search.ray_internals.touch import Touch, require, require_stored

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

# Ended trials on Tune's list, at which they are taken off it.
_MOST_REMEMBERED = 100


def _check() -> None:
    from ray.air._internal import usage
    from ray.tune.execution.tune_controller import TuneController, _ObjectCache
    from ray.tune.progress_reporter import TrialProgressCallback  # noqa: F401

    require(TuneController, "_mark_trial_to_checkpoint")
    require_stored(TuneController.__init__, "_actor_cache", "_trials", "_stopped_trials", "_failed_trials")
    require(_ObjectCache, "increase_max", "has_cached_object")
    require(usage, "tag_callbacks")


TOUCH = Touch("a trial takes more time, and a study more memory", _check)


def silence() -> list[Callback]:
    """A callback in place of Tune's own reporter of results, which remembers every trial."""
    if TOUCH.missing:
        return []
    from ray.tune.progress_reporter import TrialProgressCallback

    class Silence(TrialProgressCallback):  # type: ignore[misc]
        def on_trial_result(self, *args: Any, **info: Any) -> None: ...

        def on_trial_error(self, *args: Any, **info: Any) -> None: ...

        def on_trial_complete(self, *args: Any, **info: Any) -> None: ...

    return [Silence()]


def import_no_loggers() -> None:
    """Keeps Tune from importing MLflow, and what else logs, only to count who logs with it."""
    if not TOUCH.missing:
        from ray.air._internal import usage

        usage.tag_callbacks = lambda callbacks: False


def keep_processes(controller: TuneController, group: PlacementGroupFactory, number: int) -> None:
    """Makes Tune keep ``number`` more (or fewer) idle processes of a kind.

    By default it keeps one, so that the last trials of a study would wait for other processes to start.
    """
    if not TOUCH.missing:
        controller._actor_cache.increase_max(group, by=number)


def has_process(controller: TuneController, trial: TuneTrial) -> bool:
    """Whether Tune keeps an idle process that fits a trial."""
    return not TOUCH.missing and bool(controller._actor_cache.has_cached_object(trial.placement_group_factory))


def keep_no_state(controller: TuneController) -> None:
    """Makes Tune keep no state of trials, which is never read and would be written whole at the end."""
    if not TOUCH.missing:
        controller._mark_trial_to_checkpoint = lambda trial: None


def forget_ended(controller: TuneController) -> None:
    """Takes ended trials off the list that Tune walks at every step; their records are in the journal."""
    if TOUCH.missing:
        return
    ended = controller._stopped_trials | controller._failed_trials
    if len(ended) >= _MOST_REMEMBERED:
        controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
        controller._stopped_trials.clear()
        controller._failed_trials.clear()
