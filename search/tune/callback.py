"""The search's part in every step of Tune: it watches Ray, the cluster's nodes and trials that hang."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from phitune.search.cluster.lifeline import Lifeline
from phitune.search.cluster.slots import Slots
from phitune.search.stopping.retries import Failure
from phitune.search.stopping.watchdog import Watchdog
from phitune.search.study.sections import Resources
from phitune.search.tracking import Tracker
from phitune.search.tune.searcher import Proposer


class SearchCallback(tune.Callback):  # type: ignore[misc]
    """Reports the trials that start and ends those that hang.

    Args:
        lifeline: Checked at every step, so that the search ends when Ray has died.
        on_step: Called after every step with the number of trials in flight and, of these, those of each kind that
            wait for a node.
    """

    def __init__(
        self,
        searcher: Proposer,
        slots: Slots,
        lifeline: Lifeline,
        watchdog: Watchdog,
        tracker: Tracker,
        on_step: Callable[[int, Counter[Resources]], None],
    ) -> None:
        self._searcher = searcher
        self._slots = slots
        self._lifeline = lifeline
        self._watchdog = watchdog
        self._tracker = tracker
        self._on_step = on_step

    def __getstate__(self) -> dict[str, Any]:
        """Nothing for Tune to pickle; a new process builds everything from what is on disk."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        live = self._searcher.live.get(trial.trial_id)
        if live is not None:
            self._watchdog.started(trial.trial_id)
            self._tracker.started(live.trial, time.time())

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        self._lifeline.check()
        self._slots.look()
        self._end_hung(trials)
        self._on_step(len(self._searcher.live), self._slots.waiting())

    def _end_hung(self, trials: list[TuneTrial]) -> None:
        """Kills the processes of trials that hang; Tune then notices that they have died."""
        overdue = self._watchdog.overdue(self._searcher.live)
        for trial in trials if overdue else []:
            actor = trial.temporary_state.ray_actor
            if trial.trial_id in overdue and actor is not None:
                self._searcher.note_failure(trial.trial_id, Failure(overdue[trial.trial_id], hung=True))
                ray.kill(actor)
