"""Which trial comes next: one Optuna study a cell behind one Tune Searcher."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher

from search.failures import Failure, Luck, Retries
from search.finalists import best_of_families, finalists
from search.record import Record, Trial
from search.sampler import FamilySampler, Source, direction, last_trial, tell
from search.space import Values, family_order, point, stable_seed
from search.stopping import rungs
from search.study import Cell, Study
from trainables.checkpoint import CheckpointFolder

# Share of a cell's trials by which a workload may be ahead of the others, so that its trials follow one another.
HEAD_START = 0.1


class CellProposer:
    """A cell's trials: every family's own search, then replicates of the finalists.

    The family of every explore trial is fixed in advance (`search.space.family_order`); what is tried of it,
    `search.sampler.FamilySampler` decides. Everything is a function of the study file, the Optuna storage and the
    records, so a new process goes on where the last one died.

    Args:
        storage: Holds the cell's Optuna study: one trial for each that was ever proposed.
        records: The cell's ended trials so far.

    Attributes:
        total: Trials of the cell in all; None until the finalists are known.
    """

    def __init__(self, study: Study, cell: Cell, storage: BaseStorage, records: Iterable[Record]) -> None:
        self.cell = cell
        self.sources: tuple[Source, ...] = ()
        self.total: int | None = None
        self._study = study
        self._order = family_order(cell.families, study.trials)
        shares = Counter(space.label for space in self._order)
        self._spaces = {space.label: space for space in cell.families}
        self._samplers = {
            label: FamilySampler(study, cell, space, shares[label]) for label, space in self._spaces.items()
        }
        self._families = CategoricalDistribution(list(self._spaces))
        self._optuna = optuna.create_study(
            study_name=cell.key, storage=storage, direction=direction(cell), load_if_exists=True
        )
        self._ended: dict[str, Record] = {record.trial.trial_id: record for record in records}
        self._explored = sum(record.trial.phase == "explore" for record in self._ended.values())
        self._best = best_of_families(self._ended.values(), cell.mode)
        self._luck = Luck()
        self._asked: list[_Asked] = []
        self._again: list[Trial] = []
        self._replicates: list[Trial] | None = None
        self._replicated = 0
        self._reconcile()
        self._plan_replicates()

    @property
    def name(self) -> str:
        return self.cell.key

    @property
    def progress(self) -> float:
        """Share of the explore trials proposed, and beyond 1 the replicates."""
        return (len(self._asked) + self._replicated) / self._study.trials

    @property
    def finished(self) -> bool:
        return self._replicates is not None and all(trial.trial_id in self._ended for trial in self._replicates)

    @property
    def gave_up(self) -> str:
        """Why the cell is not gone on with in this process, if so."""
        reason = self._luck.gave_up
        return "" if reason and self.finished else reason

    @property
    def in_flight(self) -> list[str]:
        """Ids of the trials that were started, by whatever process, and have not ended."""
        asked = [self._trial_id(number) for number in range(len(self._asked))]
        planned = [trial.trial_id for trial in self._replicates or []]
        return [trial_id for trial_id in asked + planned if trial_id not in self._ended]

    @property
    def ended(self) -> Iterable[Record]:
        return self._ended.values()

    def best(self, label: str) -> Record | None:
        """The best completed explore trial of a family so far."""
        return self._best.get(label)

    def propose(self) -> Trial | None:
        """The next trial, or None while there is nothing to start (yet)."""
        if self.gave_up:
            return None
        if self._again:
            return self._again.pop(0)
        if len(self._asked) < self._study.trials:
            return self._explore()
        for trial in (self._replicates or [])[self._replicated :]:
            self._replicated += 1
            if trial.trial_id not in self._ended:
                return trial
        return None

    def retry(self, trial: Trial) -> None:
        """Proposes a trial again, under its id; it goes on from its checkpoint, if it has one."""
        self._again.append(trial)

    def end(self, record: Record) -> None:
        """Takes in the outcome of a trial."""
        self._ended[record.trial.trial_id] = record
        self._luck.ended(record)
        if record.trial.phase == "explore":
            self._explored += 1
            if record.beats(self.best(record.trial.family), self.cell.mode):
                self._best[record.trial.family] = record
            self._tell(record)
            self._plan_replicates()

    def _explore(self) -> Trial:
        """Proposes anew; the proposal is on disk when this returns."""
        label = self._order[len(self._asked)].label
        values, origin = self._samplers[label].propose(self.sources)
        self._optuna.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params={"family": label, **values},
                distributions={"family": self._families, **self._samplers[label].ranges},
                user_attrs={"origin": origin},
            )
        )
        return self._asked_for(label, values, origin, last_trial(self._optuna))

    def _asked_for(self, label: str, values: Values, origin: str, asked: optuna.Trial) -> Trial:
        number = len(self._asked)
        self._asked.append(_Asked(asked, label, self._samplers[label].proposed - 1))
        found = point(self._spaces[label], self.cell, values)
        return Trial(
            trial_id=self._trial_id(number),
            cell=self.cell.key,
            phase="explore",
            number=number,
            family=label,
            schedule=found.schedule.to_dict(),
            base_lr=found.base_lr,
            mean_lr=found.mean_lr,
            seed=stable_seed(self._study.seed, self.cell.key, number),
            origin=origin,
        )

    def _trial_id(self, number: int) -> str:
        return f"{self.cell.slug}/explore-{number:04d}"

    def _plan_replicates(self) -> None:
        """Once all is explored: finalists × fresh seeds, seed by seed, so that an interrupted set is still paired."""
        if self._explored < self._study.trials:
            return
        chosen = finalists(self._ended.values(), self.cell.mode)
        seeds = min(self._study.replicates, 1) if self.cell.deterministic else self._study.replicates
        plan = [(seed, best) for seed in range(seeds) for best in chosen]
        self._replicates = [
            Trial(
                # Named for what it repeats, so that a study that is extended keeps the replicates it has.
                trial_id=f"{self.cell.slug}/replicate-{best.trial.number:04d}.{seed}",
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
        # An extended study may have replicates of trials that are no finalists any more.
        self.total = len(self._ended.keys() | {trial.trial_id for trial in self._replicates})

    def _tell(self, record: Record) -> None:
        asked = self._asked[record.trial.number]
        tell(self._optuna, asked.trial, record)
        self._samplers[asked.label].end(asked.index, record)

    def _reconcile(self) -> None:
        """Brings Optuna up to the records; trials that were in flight start again under their ids."""
        for frozen in self._optuna.get_trials(deepcopy=False):
            values, origin = dict(frozen.params), frozen.user_attrs["origin"]
            label = values.pop("family")
            self._samplers[label].restore(frozen, origin)
            trial = self._asked_for(label, values, origin, optuna.Trial(self._optuna, frozen._trial_id))
            if frozen.state.is_finished():
                continue
            record = self._ended.get(trial.trial_id)
            if record is None:
                self._again.append(trial)
            else:
                self._tell(record)


@dataclass(frozen=True)
class _Asked:
    """A proposed explore trial: Optuna's, its family and its place among the family's trials."""

    trial: optuna.Trial
    label: str
    index: int


def link_neighbours(cells: Iterable[CellProposer]) -> None:
    """Lets every cell start warm from the budgets next to its own, of the same workload and optimizer."""
    groups: dict[tuple[str, str], list[CellProposer]] = {}
    for proposer in cells:
        groups.setdefault((proposer.cell.workload.label, proposer.cell.optimizer.label), []).append(proposer)
    for group in groups.values():
        group.sort(key=lambda proposer: proposer.cell.budget)
        for index, proposer in enumerate(group):
            proposer.sources += tuple(group[max(index - 1, 0) : index] + group[index + 1 : index + 2])


@dataclass(frozen=True)
class Live:
    """A trial in flight and its last report."""

    trial: Trial
    cell: Cell
    report: dict[str, Any] = field(default_factory=dict)


class Proposer(Searcher):  # type: ignore[misc]
    """Routes Tune's calls to the cells and hands every ended trial to ``on_end``.

    The next trial goes to the cell that has the smallest share of its trials proposed, the largest budget
    first, so that all cells move on together and long trials do not come last. The workload of the process that has
    just become free, whose data it holds, may be ahead of the others by `HEAD_START`.

    Args:
        checkpoints: Where trials in flight are kept.

    Attributes:
        live: The trials in flight, by Tune's id.
        slots: How many trials may be in flight, if that is known. Tune asks for one trial more than it can place and
            has Ray make ready a process for it, which is then thrown away for one that has become free.
    """

    def __init__(
        self,
        cells: Iterable[CellProposer],
        study: Study,
        on_end: Callable[[Record], None],
        checkpoints: CheckpointFolder,
    ) -> None:
        super().__init__(metric="judged", mode="min")
        self._checkpoints = checkpoints
        self._cells = sorted(cells, key=lambda proposer: -proposer.cell.budget)
        self._by_key = {proposer.cell.key: proposer for proposer in self._cells}
        self._study = study
        self._on_end = on_end
        self._retries = Retries()
        self._failures: dict[str, Failure] = {}
        self.live: dict[str, Live] = {}
        self.slots: int | None = None
        self._freed: str | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.slots is not None and len(self.live) >= self.slots:
            return None
        for proposer in sorted(self._cells, key=self._turn):
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
        failure = self._failures.pop(trial_id, Failure())
        if live is None:
            return
        self._freed = live.cell.workload.label
        # Retries are not left to Tune, which gives up a trial whose process dies while it is being reset.
        if error and self._retries.allow(live.trial.trial_id, failure):
            if self._retries.last(live.trial.trial_id):
                self._checkpoints.discard(live.trial.trial_id)
            self._by_key[live.cell.key].retry(live.trial)
            return
        record = _record(live, result or live.report, failure if error else None)
        self._on_end(record)
        self._by_key[live.cell.key].end(record.light())

    def note_failure(self, trial_id: str, failure: Failure) -> None:
        """Takes in, by Tune's id, why a trial that is about to end with an error does so; the first reason counts."""
        if trial_id in self.live:
            self._failures.setdefault(trial_id, failure)

    def _turn(self, proposer: CellProposer) -> float:
        same = proposer.cell.workload.label == self._freed
        return proposer.progress - (HEAD_START if same else 0.0)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing for Tune to pickle: the records and Optuna's storage are the state, and they are on disk."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def _config(self, trial: Trial, cell: Cell) -> dict[str, Any]:
        replicate = trial.phase == "replicate"
        task: dict[str, Any] = {
            "workload": cell.workload.entry,
            "optimizer": cell.optimizer.label,
            "budget": cell.budget,
            "schedule": trial.schedule,
            "base_lr": trial.base_lr,
            "seed": trial.seed,
            "objective": cell.objective,
            "rungs": () if replicate else rungs(cell, self._study),
            "test": replicate,
            "diagnostics": self._study.diagnostics.of(replicate),
            "threads": self._study.resources.cpu,
            "checkpoint": {
                "path": str(self._checkpoints.file_of(trial.trial_id)),
                "seconds": self._study.failures.checkpoint_seconds,
            },
        }
        return {"trial_id": trial.trial_id, "cell": cell.key, "family": trial.family, "task": json.dumps(task)}


def _record(live: Live, result: dict[str, Any], failure: Failure | None) -> Record:
    """The record of an ended trial, from its last report."""
    account = json.loads(result["account"]) if "account" in result else {}
    status = account.get("status", "failed")
    if status == "running":
        status = "stopped"
    return Record(
        trial=live.trial,
        status="failed" if failure else status,
        steps=account.get("steps", 0),
        rungs=account.get("rungs", []),
        curve=account.get("curve", []),
        diagnosed=account.get("diagnosed", []),
        final=account.get("final", {}),
        started=account.get("started", 0.0),
        seconds=account.get("seconds", 0.0),
        reason=failure.reason if failure else account.get("reason", ""),
        traceback=failure.traceback if failure else account.get("traceback", ""),
    )
