"""What keeps Tune's own cost of a trial small and even; it touches what Tune has no settings for.

Everything here may be left out: a study then takes longer and more memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import TrialProgressCallback

# Ended trials on Tune's list, at which they are taken off it.
_MOST_REMEMBERED = 100


class Silence(TrialProgressCallback):  # type: ignore[misc]
    """In place of Tune's own reporter of results, which remembers every trial."""

    def on_trial_result(self, *args: Any, **info: Any) -> None: ...

    def on_trial_error(self, *args: Any, **info: Any) -> None: ...

    def on_trial_complete(self, *args: Any, **info: Any) -> None: ...


def keep_processes(controller: TuneController, bundle: Mapping[str, float], number: int) -> None:
    """Has Tune keep so many more (or fewer) processes of a kind while there is nothing for them to do.

    Of its own accord it keeps one, and what is left to do at the end of a study would wait for others to start.
    """
    controller._actor_cache.increase_max(PlacementGroupFactory([dict(bundle)]), by=number)


def has_process(controller: TuneController, trial: TuneTrial) -> bool:
    """Whether Tune keeps a process that a trial could have."""
    return bool(controller._actor_cache.has_cached_object(trial.placement_group_factory))


def keep_no_state(controller: TuneController) -> None:
    """Has Tune keep no record of its own of trials, which nobody reads, and which is written whole at the end."""
    controller._mark_trial_to_checkpoint = lambda trial: None


def forget_ended(controller: TuneController) -> None:
    """Takes ended trials off the list that Tune walks at every step; their records are in the journal."""
    ended = controller._stopped_trials | controller._failed_trials
    if len(ended) >= _MOST_REMEMBERED:
        controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
        controller._stopped_trials.clear()
        controller._failed_trials.clear()
