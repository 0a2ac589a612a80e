"""Early stopping: one ASHA ladder a cell behind one Tune scheduler."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from phitune.search.cluster.slots import bundle
from phitune.search.ray_internals.thrift import forget_ended, has_process, keep_no_state, keep_processes
from phitune.search.records.record import Verdict
from phitune.search.study.model import Cell, Study
from phitune.search.study.sections import Asha, Resources

# So many of a family, the best so far, go on from a rung whatever the other families do: none is judged on fewer
# uncensored trials.
FAIR = 1
_SHORTEST = 16


def rungs(cell: Cell, study: Study) -> tuple[int, ...]:
    """The iterations at which trials of a cell are judged.

    None without early stopping and for budgets too short to judge anything (under 16 iterations).
    """
    ladder = study.ladder
    if ladder is None or cell.budget < _SHORTEST:
        return ()
    return tuple(sorted({max(1, round(share * cell.budget)) for share in ladder.shares}))


class Ladder:
    """Asynchronous successive halving in one cell (Li et al., MLSys 2020, arXiv 1810.05934).

    At a rung a trial goes on if it is among the best ``1/reduction`` of all that have been there so far, itself
    included, or among the best ``fair`` of its own family. A rung cuts nobody before ``minimum`` trials have been
    there. A diverged trial counts as the worst at every rung it did not reach. A verdict stands: a trial that comes
    to a rung again, after a restart, is not judged again.

    Args:
        count: Number of rungs.
        mode: Whether small (``min``) or large (``max``) values are good.
        settings: Reduction factor and minimum population.
        fair: So many of a family go on from a rung whatever the other families do.
    """

    def __init__(self, count: int, mode: Literal["min", "max"], settings: Asha | None = None, fair: int = FAIR) -> None:
        self._settings = settings or Asha()
        self._fair = fair
        self._rungs: list[dict[str, float]] = [{} for _ in range(count)]
        self._families: dict[str, str] = {}
        self._verdicts: dict[tuple[str, int], bool] = {}
        self._sign = 1.0 if mode == "min" else -1.0

    def judge(self, trial_id: str, family: str, rung: int, value: float) -> bool:
        """Whether a trial may train on from ``rung`` (from 1), where its averaged weights have ``value``."""
        self.note(trial_id, family, rung, value)
        if (trial_id, rung) not in self._verdicts:
            self._verdicts[trial_id, rung] = self._goes_on(trial_id, rung)
        return self._verdicts[trial_id, rung]

    def note(self, trial_id: str, family: str, rung: int, value: float) -> None:
        """Notes a value without judging it; a trial's earlier value stands."""
        signed = self._sign * value
        self._families[trial_id] = family
        self._rungs[rung - 1].setdefault(trial_id, signed if math.isfinite(signed) else math.inf)

    def restore(self, verdict: Verdict) -> None:
        """Takes over what an earlier process decided."""
        self.note(verdict.trial_id, verdict.family, verdict.rung, verdict.value)
        self._verdicts[verdict.trial_id, verdict.rung] = verdict.goes_on

    def note_diverged(self, trial_id: str, family: str) -> None:
        """Counts the trial as the worst at every rung it did not reach."""
        self._families[trial_id] = family
        for rung in self._rungs:
            rung.setdefault(trial_id, math.inf)

    def _goes_on(self, trial_id: str, rung: int) -> bool:
        population = self._rungs[rung - 1]
        if len(population) < self._settings.minimum:
            return True
        value = population[trial_id]
        if not math.isfinite(value):
            return False
        better = [other for other, theirs in population.items() if theirs < value]
        if len(better) < math.ceil(len(population) / self._settings.reduction):
            return True
        family = self._families[trial_id]
        return sum(self._families[other] == family for other in better) < self._fair


class CellAsha(FIFOScheduler):  # type: ignore[misc]
    """Routes every report to the ladder of its cell.

    Args:
        ladders: By cell key. Trials of other cells, and replicates, run to their end.
        on_verdict: Called with every verdict before it takes effect.
        warm: Gives how many processes of each kind Tune is to keep when there is nothing for them to do; of its own
            accord it keeps one, and what is left to do at the end of a study would wait for others to start.
    """

    def __init__(
        self,
        ladders: Mapping[str, Ladder],
        on_verdict: Callable[[Verdict], None],
        warm: Callable[[], Mapping[Resources, int]] = dict,
    ) -> None:
        super().__init__()
        self._ladders = ladders
        self._on_verdict = on_verdict
        self._warm = warm
        self._kept: Counter[Resources] = Counter()

    def on_trial_add(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        keep_no_state(tune_controller)
        forget_ended(tune_controller)
        super().on_trial_add(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> TuneTrial | None:
        """The newest that waits and for which a process is there; else the newest.

        The oldest, Tune's choice, has a process on its way; given one that has just come free, Tune throws the other
        away, and where trials are shorter than a process takes to start, does so again and again.
        """
        for kind, number in self._warm().items():
            if number != self._kept[kind]:
                keep_processes(tune_controller, bundle(kind), number - self._kept[kind])
                self._kept[kind] = number
        waiting = [trial for trial in reversed(tune_controller.get_trials()) if trial.status == TuneTrial.PENDING]
        return next((trial for trial in waiting if has_process(tune_controller, trial)), next(iter(waiting), None))

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
