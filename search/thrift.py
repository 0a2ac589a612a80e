"""What keeps Tune's own cost of a trial small and even; it touches what Tune has no settings for.

Everything here may be left out: a study then takes longer and more memory.
"""

from __future__ import annotations

from typing import Any

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


def keep_processes(controller: TuneController, trial: TuneTrial, number: int) -> None:
    """Has Tune keep so many processes while there is nothing for them to do.

    Of its own accord it keeps one, and what is left to do at the end of a study would wait for others to start.
    """
    controller._actor_cache.increase_max(trial.placement_group_factory, by=number)
    # Its own record of trials, which nobody reads, and which is written whole at the end.
    controller._mark_trial_to_checkpoint = lambda trial: None


def forget_ended(controller: TuneController) -> None:
    """Takes ended trials off the list that Tune walks at every step; their records are in the journal."""
    ended = controller._stopped_trials | controller._failed_trials
    if len(ended) >= _MOST_REMEMBERED:
        controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
        controller._stopped_trials.clear()
        controller._failed_trials.clear()
