"""Early stopping of all cells behind one Tune scheduler."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from phitune.search.cluster.slots import bundle, group
from phitune.search.ray_internals.thrift import forget_ended, has_process, keep_no_state, keep_processes
from phitune.search.records.record import Verdict
from phitune.search.stopping.ladder import Stopping
from phitune.search.stopping.retries import Failure
from phitune.search.study.sections import Resources
from phitune.search.tune.explain import explain


class Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Routes every report to what judges the trials of its cell, and every error of a trial to the searcher.

    Args:
        ladders: By cell key. Trials of other cells, and replicates, run to their end.
        on_verdict: Called with every verdict before it takes effect.
        on_failure: Called with Tune's id of a trial that fails and the reason, before Tune reports the end of the
            trial to the searcher (without a reason).
        warm: Returns how many processes of each kind Tune is to keep while they are idle. By default Tune keeps one,
            so that the last trials of a study would wait for other processes to start.
    """

    def __init__(
        self,
        ladders: Mapping[str, Stopping],
        on_verdict: Callable[[Verdict], None],
        on_failure: Callable[[str, Failure], None],
        warm: Callable[[], Mapping[Resources, int]] = dict,
    ) -> None:
        super().__init__()
        self._ladders = ladders
        self._on_verdict = on_verdict
        self._on_failure = on_failure
        self._warm = warm
        self._kept: Counter[Resources] = Counter()

    def on_trial_add(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        keep_no_state(tune_controller)
        forget_ended(tune_controller)
        super().on_trial_add(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> TuneTrial | None:
        """The newest pending trial for which an idle process exists; else the newest pending trial.

        Tune would choose the oldest, whose process is already starting. If it were placed on a process that has just
        become idle, Tune would discard the starting one; with trials shorter than the start of a process, again and
        again.
        """
        for kind, number in self._warm().items():
            if number != self._kept[kind]:
                keep_processes(tune_controller, group(bundle(kind), kind.nodes), number - self._kept[kind])
                self._kept[kind] = number
        pending = [trial for trial in reversed(tune_controller.get_trials()) if trial.status == TuneTrial.PENDING]
        return next((trial for trial in pending if has_process(tune_controller, trial)), next(iter(pending), None))

    def on_trial_result(self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]) -> str:
        go_on, stop = str(TrialScheduler.CONTINUE), str(TrialScheduler.STOP)
        ladder = self._ladders.get(trial.config["cell"])
        rung = result.get("rung")
        if ladder is None or not rung:
            return go_on
        trial_id, family, value = trial.config["trial_id"], trial.config["family"], result["judged"]
        goes_on = ladder.judge(trial_id, family, rung, value)
        self._on_verdict(Verdict(trial_id, trial.config["cell"], family, rung, value, goes_on))
        return go_on if goes_on else stop

    def on_trial_error(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        self._on_failure(trial.trial_id, explain(_error_of(trial)))
        super().on_trial_error(tune_controller, trial)


def _error_of(trial: TuneTrial) -> Exception | None:
    """The error that Tune has just written; its own `get_pickled_error` looks where the file is moved later."""
    try:
        error: Exception = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:
        return None
    return error
