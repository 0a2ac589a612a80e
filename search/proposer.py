"""Which trial comes next: one Optuna study a cell behind one Tune Searcher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.finalists import finalists
from search.record import Record, Trial
from search.space import family_order, quasi_random, stable_seed, suggest
from search.stopping import rungs
from search.study import Cell, Study

# How often a trial is started again after its worker process has died.
RETRIES = 2


class CellProposer:
    """A cell's trials: a quasi-random start, TPE to finish, then replicates of the finalists.

    The family of every explore trial is fixed in advance (`search.space.family_order`); the first half of
    each family's share is a Sobol sequence, the rest is TPE's. Everything is a function of the study file,
    the Optuna storage and the records, so a new process goes on where the last one died.

    Args:
        records: The cell's ended trials so far.
    """

    def __init__(self, study: Study, cell: Cell, storage: BaseStorage, records: Iterable[Record]) -> None:
        self.cell = cell
        self._study = study
        self._families = family_order(cell.families, study.trials)
        sampler = optuna.samplers.TPESampler(
            seed=stable_seed(study.seed, cell.key), multivariate=True, group=True, n_startup_trials=0
        )
        self._optuna = optuna.create_study(
            study_name=cell.key,
            storage=storage,
            sampler=sampler,
            direction="minimize" if cell.mode == "min" else "maximize",
            load_if_exists=True,
        )
        shares = Counter(space.label for space in self._families)
        self._starts = {
            space.label: iter(quasi_random(space, cell, (shares[space.label] + 1) // 2, study.seed))
            for space in cell.families
        }
        self._ended: dict[str, Record] = {record.trial.trial_id: record for record in records}
        self._proposed = 0
        self._asked: dict[int, optuna.Trial] = {}
        self._again: list[Trial] = []
        self._replicates: list[Trial] | None = None
        self._reconcile()
        self._plan_replicates()

    @property
    def total(self) -> int | None:
        """Trials of the cell in all; None until the finalists are known."""
        return None if self._replicates is None else self._study.trials + len(self._replicates)

    @property
    def progress(self) -> float:
        """Share of the explore trials proposed, and beyond 1 the replicates."""
        return self._proposed / self._study.trials

    @property
    def finished(self) -> bool:
        return self.total is not None and len(self._ended) >= self.total

    @property
    def ended(self) -> Iterable[Record]:
        return self._ended.values()

    def propose(self) -> Trial | None:
        """The next trial, or None while there is nothing to start (yet)."""
        if self._again:
            return self._again.pop(0)
        if self._proposed < self._study.trials:
            return self._explore()
        for trial in (self._replicates or [])[self._proposed - self._study.trials :]:
            self._proposed += 1
            if trial.trial_id not in self._ended:
                return trial
        return None

    def retry(self, trial: Trial) -> None:
        """Proposes a trial again, under its id, from its first step."""
        self._again.append(trial)

    def end(self, record: Record) -> None:
        """Takes in the outcome of a trial."""
        self._ended[record.trial.trial_id] = record
        if record.trial.phase == "explore":
            self._tell(record)
            self._plan_replicates()

    def _explore(self) -> Trial:
        label = self._families[self._proposed].label
        self._optuna.enqueue_trial(next(self._starts[label], {"family": label}))
        trial = self._trial(self._optuna.ask())
        self._proposed += 1
        return trial

    def _trial(self, asked: optuna.Trial) -> Trial:
        space, point = suggest(asked, self.cell)
        self._asked[asked.number] = asked
        return Trial(
            trial_id=self._trial_id("explore", asked.number),
            cell=self.cell.key,
            phase="explore",
            number=asked.number,
            family=space.label,
            schedule=point.schedule.to_dict(),
            base_lr=point.base_lr,
            mean_lr=point.mean_lr,
            seed=stable_seed(self._study.seed, self.cell.key, asked.number),
        )

    def _plan_replicates(self) -> None:
        """Once all is explored: finalists × fresh seeds, seed by seed, so that an interrupted set is still paired."""
        explored = [record for record in self._ended.values() if record.trial.phase == "explore"]
        if len(explored) < self._study.trials:
            return
        chosen = finalists(explored, self.cell.mode)
        seeds = min(self._study.replicates, 1) if self.cell.deterministic else self._study.replicates
        plan = [(seed, best) for seed in range(seeds) for best in chosen]
        self._replicates = [
            Trial(
                trial_id=self._trial_id("replicate", number),
                cell=self.cell.key,
                phase="replicate",
                number=number,
                family=best.trial.family,
                schedule=best.trial.schedule,
                base_lr=best.trial.base_lr,
                mean_lr=best.trial.mean_lr,
                seed=stable_seed(self._study.seed, self.cell.key, "replicate", seed),
                finalist=best.trial.trial_id,
            )
            for number, (seed, best) in enumerate(plan)
        ]

    def _trial_id(self, phase: str, number: int) -> str:
        return f"{self.cell.slug}/{phase}-{number:04d}"

    def _tell(self, record: Record) -> None:
        trial = self._asked.pop(record.trial.number)
        if record.status == "completed":
            self._optuna.tell(trial, record.final["objective"])
        elif record.status == "stopped":
            for step, value in record.rungs:
                trial.report(value, step)
            self._optuna.tell(trial, state=TrialState.PRUNED)
        elif record.status == "diverged":
            trial.set_constraint("diverged", 1.0)
            self._optuna.tell(trial, state=TrialState.PRUNED)
        else:
            self._optuna.tell(trial, state=TrialState.FAIL)

    def _reconcile(self) -> None:
        """Brings Optuna up to the records; trials that were in flight start again under their ids."""
        for number, frozen in enumerate(self._optuna.get_trials(deepcopy=False)):
            self._proposed += 1
            next(self._starts[self._families[number].label], None)
            if frozen.state.is_finished():
                continue
            # A trial that was enqueued but not yet asked for is the next that `ask` gives.
            waiting = frozen.state == TrialState.WAITING
            asked = self._optuna.ask() if waiting else optuna.Trial(self._optuna, frozen._trial_id)
            trial = self._trial(asked)
            record = self._ended.get(trial.trial_id)
            if record is None:
                self._again.append(trial)
            else:
                self._tell(record)


@dataclass(frozen=True)
class Live:
    """A trial in flight and its last report."""

    trial: Trial
    cell: Cell
    report: dict[str, Any] = field(default_factory=dict)


class Proposer(Searcher):  # type: ignore[misc]
    """Routes Tune's calls to the cells and hands every ended trial to ``on_end``.

    The next trial goes to the cell that has the smallest share of its trials proposed, the largest budget
    first, so that all cells move on together and long trials do not come last.
    """

    def __init__(self, cells: Iterable[CellProposer], study: Study, on_end: Callable[[Record], None]) -> None:
        super().__init__(metric="judged", mode="min")
        self._cells = sorted(cells, key=lambda proposer: -proposer.cell.budget)
        self._by_key = {proposer.cell.key: proposer for proposer in self._cells}
        self._study = study
        self._on_end = on_end
        self._deaths: Counter[str] = Counter()
        self.live: dict[str, Live] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        for proposer in sorted(self._cells, key=lambda proposer: proposer.progress):
            trial = proposer.propose()
            if trial is not None:
                self.live[trial_id] = Live(trial, proposer.cell)
                return self._config(trial, proposer.cell)
        return None if self.live else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        live = self.live[trial_id]
        self.live[trial_id] = Live(live.trial, live.cell, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        live = self.live.pop(trial_id, None)
        if live is None:
            return
        if error and self._deaths[live.trial.trial_id] < RETRIES:
            # Not left to Tune, which gives up a trial whose worker dies while it is being reset.
            self._deaths[live.trial.trial_id] += 1
            self._by_key[live.cell.key].retry(live.trial)
            return
        record = _record(live, result or live.report, error)
        self._on_end(record)
        self._by_key[live.cell.key].end(record)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing for Tune to pickle: the records and Optuna's storage are the state, and they are on disk."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def _config(self, trial: Trial, cell: Cell) -> dict[str, Any]:
        replicate = trial.phase == "replicate"
        return {
            "trial_id": trial.trial_id,
            "cell": cell.key,
            "workload": cell.workload.entry,
            "optimizer": cell.optimizer.label,
            "budget": cell.budget,
            "schedule": trial.schedule,
            "base_lr": trial.base_lr,
            "seed": trial.seed,
            "objective": cell.objective,
            "rungs": () if replicate else rungs(cell.budget, self._study.early_stopping),
            "test": replicate,
            "diagnostics": self._study.diagnostics.of(replicate),
            "threads": self._study.resources.cpu,
        }


def _record(live: Live, result: dict[str, Any], error: bool) -> Record:
    """The record of an ended trial, from its last report as Tune gives it (mappings flattened)."""
    status = result.get("status", "failed")
    if status == "running":
        status = "stopped"
    return Record(
        trial=live.trial,
        status="failed" if error else status,
        steps=result.get("steps", 0),
        rungs=result.get("rungs", []),
        curve=result.get("curve", []),
        diagnosed=result.get("diagnosed", []),
        final={key.removeprefix("final/"): value for key, value in result.items() if key.startswith("final/")},
        started=result.get("started", 0.0),
        seconds=result.get("seconds", 0.0),
        reason="its worker process died" if error else result.get("reason", ""),
        traceback=result.get("traceback", ""),
    )
