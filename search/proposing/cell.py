"""The trials of one cell: its explore trials on an Optuna study, then replicates of the finalists."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from phitune.search.proposing.finalists import Finalist, finalists
from phitune.search.proposing.group import Group
from phitune.search.proposing.guides import guide_of
from phitune.search.proposing.sampler import CONFIGURATION, ORIGIN, VALUE, CellSampler, direction, tell
from phitune.search.proposing.space import FAMILY, all_distributions, stable_seed
from phitune.search.proposing.standing import Standing
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.retries import Luck
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study
from phitune.trainables.schedules import from_dict

# With `trials: auto` a cell has had enough when, with so many trials completed, two proposals one after the other were
# not worth it.
FEWEST = 12
# Attributes of a cell's Optuna study: its finalists, by the number of explore trials that they were chosen from, and
# when it had had enough.
FINALISTS, ENOUGH = "finalists", "enough"


class CellProposer:
    """A cell's trials: explore trials, then replicates of the finalists.

    Everything is a function of the study file, the cells' Optuna studies and the records, so a new process goes on
    where the last one died.

    Args:
        storage: Holds the cell's Optuna study: one trial for each explore trial ever proposed.
        records: The cell's ended trials so far; the group knows them already.
        group: What is believed of the cell's workload and optimizer.

    Attributes:
        total: Trials of the cell in all; None until the finalists are known.
        known: Ids of the explore trials that the records or Optuna knew when this process began.
        value: What the last proposal was worth (`Proposal.value`); infinite before the first that was valued, 0 when
            the cell explores no more.
    """

    def __init__(self, study: Study, cell: Cell, storage: BaseStorage, records: Iterable[Record], group: Group) -> None:
        self.cell = cell
        self.group = group
        self.total: int | None = None
        self.value = math.inf
        self._study = study
        self._optuna = optuna.create_study(
            study_name=cell.key, storage=storage, direction=direction(cell), load_if_exists=True
        )
        self._storage = storage
        self._sampler = CellSampler(study.sampler, group, cell, self._optuna, study.seed)
        self._study_id = storage.get_study_id_from_name(cell.key)
        self._ended: dict[str, Record] = {record.trial.trial_id: record for record in records}
        self._luck = Luck()
        # The number of the next explore trial; explore trials that have ended, ids of those in flight; replicates
        # proposed.
        self._next = 0
        self._explored = sum(record.trial.phase == "explore" for record in self._ended.values())
        self._flying: list[str] = []
        self._replicated = 0
        self._again: list[Trial] = []
        self._replicates: list[Trial] | None = None
        enough = self._optuna.user_attrs.get(ENOUGH)
        # A study file with more trials, or with more to search, goes on.
        self._searched = stable_seed(sorted(map(str, all_distributions(cell).items())), cell.base_lr)
        self._enough = (
            study.auto
            and enough is not None
            and enough["of"] >= study.most
            and enough.get("searched") == self._searched
        )
        self._reconcile()
        self._plan_replicates()

    @property
    def name(self) -> str:
        return self.cell.key

    @property
    def _proposed(self) -> int:
        """Explore trials that have ended or are in flight."""
        return self._explored + len(self._flying)

    @property
    def progress(self) -> float:
        """Share of the explore trials proposed, and beyond 1 the replicates."""
        return (self._proposed + self._replicated) / self._study.most

    def turn(self, auto: bool) -> tuple[float, float]:
        """Where its next trial stands among those of other cells: the least comes first.

        Args:
            auto: Whether trials go first where they are worth most, rather than to all cells alike.
        """
        return -self.value if auto else 0.0, self.progress

    @property
    def explored(self) -> bool:
        """Whether no more explore trials will be proposed."""
        return self._enough or self._proposed >= self._study.most

    @property
    def standing(self) -> Standing | None:
        """How the cell stands by the belief, as far as that has proposed a trial in this process."""
        return self.group.standing(self.cell)

    @property
    def saved(self) -> int:
        """Explore trials that were not worth it."""
        return max(self._study.most - self._proposed, 0) if self._enough else 0

    @property
    def expected(self) -> int:
        """Explore trials in all, as far as is known."""
        return self._proposed if self._enough else max(self._study.most, self._proposed)

    @property
    def finished(self) -> bool:
        return self._replicates is not None and all(trial.trial_id in self._ended for trial in self._replicates)

    @property
    def gave_up(self) -> str:
        """Why this process proposes no more trials of the cell; empty if it does."""
        reason = self._luck.gave_up
        return "" if reason and self.finished else reason

    @property
    def in_flight(self) -> list[str]:
        """Ids of the trials that this process or an earlier one started and that have not ended."""
        replicates = [trial.trial_id for trial in self._replicates or [] if trial.trial_id not in self._ended]
        return [*self._flying, *replicates]

    @property
    def ended(self) -> Iterable[Record]:
        return self._ended.values()

    def propose(self) -> Trial | None:
        """The next trial, or None while there is nothing to start (yet)."""
        if self.gave_up:
            return None
        if self._again:
            return self._again.pop(0)
        if not self.explored and (explore := self._explore()) is not None:
            return explore
        for trial in (self._replicates or [])[self._replicated :]:
            self._replicated += 1
            if trial.trial_id not in self._ended:
                self.group.start(trial)
                return trial
        return None

    def retry(self, trial: Trial) -> None:
        """Proposes a trial again, under its id; it goes on from its checkpoint, if it has one."""
        self._again.append(trial)

    def end(self, record: Record) -> None:
        """Records the outcome of a trial."""
        self._ended[record.trial.trial_id] = record
        self._luck.ended(record)
        self.group.end(record)
        if record.trial.phase == "explore":
            self._flying.remove(record.trial.trial_id)
            self._explored += 1
            self._tell(record)
            self._plan_replicates()

    def _explore(self) -> Trial | None:
        """A new explore trial, which is on disk when this returns; None if the cell has had enough."""
        before = self.value
        new = self._sampler.trial(self._next)
        if self._study.auto and VALUE not in new.user_attrs:
            new.set_user_attr(VALUE, self.group.propose(self.cell, self._next).value)
        self._value_of(new)
        if self._study.auto and max(before, self.value) < 1.0 and self.group.completed(self.cell) >= FEWEST:
            enough = {"trials": self._proposed, "of": self._study.most, "searched": self._searched}
            self._optuna.set_user_attr(ENOUGH, enough)
            self._enough = True
            self._plan_replicates()
            return None
        # At once, so that a process that is killed leaves no trial without its values.
        self._storage.create_new_trial(self._study_id, new)
        self._next += 1
        return self._start(new)

    def _start(self, frozen: FrozenTrial) -> Trial:
        """The explore trial of Optuna's, in flight from now on."""
        configuration = frozen.user_attrs[CONFIGURATION]
        trial = Trial(
            trial_id=self._trial_id(frozen.number),
            cell=self.cell.key,
            phase="explore",
            number=frozen.number,
            family=frozen.params[FAMILY],
            schedule=from_dict(configuration["schedule"]).to_dict(),
            base_lr=configuration["base_lr"],
            mean_lr=configuration["mean_lr"],
            seed=stable_seed(self._study.seed, self.cell.key, frozen.number),
            origin=frozen.user_attrs[ORIGIN],
        )
        self._flying.append(trial.trial_id)
        self.group.start(trial)
        return trial

    def _value_of(self, trial: FrozenTrial) -> None:
        value = trial.user_attrs.get(VALUE)
        self.value = math.inf if value is None else value

    def _trial_id(self, number: int) -> str:
        return f"{self.cell.slug}/explore-{number:04d}"

    def _plan_replicates(self) -> None:
        """When all explore trials have ended: finalists × fresh seeds, seed by seed, so that a part is paired too."""
        if not self.explored or self._flying:
            return
        self.value = 0.0
        seeds = min(self._study.replicates, 1) if self.cell.deterministic else self._study.replicates
        # Named for the trials that they were chosen from, so that a study that is extended keeps the replicates it has.
        count = f"{self._proposed:04d}"
        plan = [(seed, finalist) for seed in range(seeds) for finalist in self._finalists(count)]
        self._replicates = [
            Trial(
                trial_id=f"{self.cell.slug}/replicate-{count}-{finalist.word}.{seed}",
                cell=self.cell.key,
                phase="replicate",
                number=number,
                family=finalist.family,
                schedule=dict(finalist.schedule),
                base_lr=finalist.base_lr,
                mean_lr=finalist.mean_lr,
                seed=stable_seed(self._study.seed, self.cell.key, "replicate", seed),
                finalist=f"{self.cell.slug}/finalist-{count}-{finalist.word}",
            )
            for number, (seed, finalist) in enumerate(plan)
        ]
        # An extended study may have replicates of configurations that are no finalists any more.
        self.total = len(self._ended.keys() | {trial.trial_id for trial in self._replicates})

    def _finalists(self, count: str) -> list[Finalist]:
        """The finalists; on disk when this returns, as the belief goes on with the trials of other cells.

        Those decided earlier stay; a baseline that the study has since been given is added.
        """
        all_decided: dict[str, list[dict[str, Any]]] = self._optuna.user_attrs.get(FINALISTS, {})
        if all_decided.get(count) == []:
            return []
        if count in all_decided:
            decided, best_first = [Finalist(**values) for values in all_decided[count]], True
        else:
            decided, best_first = self._replicated_finalists(count)
        now = finalists(self.group, self.cell, self._study.baselines, decided, best_first)
        known = {finalist.family: finalist for finalist in [*now, *decided]}
        values = [vars(finalist) for finalist in known.values()]
        if values != all_decided.get(count):
            self._optuna.set_user_attr(FINALISTS, {**all_decided, count: values})
        return now

    def _replicated_finalists(self, count: str) -> tuple[list[Finalist], bool]:
        """Finalists of which replicates have ended, for a history that lacks them; whether the first is the best."""
        trials = [record.trial for record in self._ended.values() if record.trial.finalist is not None]
        trials = [trial for trial in trials if f"/finalist-{count}-" in str(trial.finalist)]
        trials.sort(key=lambda trial: trial.number)
        known = {trial.family: Finalist(trial.family, trial.schedule, trial.base_lr, trial.mean_lr) for trial in trials}
        return list(known.values()), bool(trials) and trials[0].number == 0

    def _tell(self, record: Record) -> None:
        """Tells Optuna of an end that it does not know of.

        A trial whose record was lost has been trained again, though Optuna knows of its end.
        """
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, record.trial.number)
        if not self._storage.get_trial(trial_id).state.is_finished():
            tell(self._optuna, optuna.Trial(self._optuna, trial_id), record)

    def _reconcile(self) -> None:
        """Brings Optuna up to the records; trials that were in flight start again under their ids.

        What Optuna lacks because its file was lost or cut is added: the trials that have ended, and for a number
        between theirs a new one. Trials in flight outside of what the study now asks for are left where they are.
        """
        ended = {record.trial.number: record for record in self._ended.values() if record.trial.phase == "explore"}
        history = list(self._optuna.get_trials(deepcopy=False))
        self.known = {self._trial_id(number) for number in {*range(len(history)), *ended}}
        self._next = max(len(history), 1 + max(ended, default=-1))
        for number in range(self._next):
            record = ended.get(number)
            if number < len(history):
                frozen = history[number]
            else:
                frozen = self._sampler.trial(number) if record is None else self._sampler.again(record.trial)
                self._storage.create_new_trial(self._study_id, frozen)
            self._value_of(frozen)
            if record is not None:
                if not frozen.state.is_finished():
                    self._tell(record)
            elif self._proposed < self._study.most and self._sampler.belongs(frozen):
                self._again.append(self._start(frozen))


def proposers(
    study: Study, storage: BaseStorage, records: Iterable[Record] = (), earlier: Iterable[EarlierCell] = ()
) -> list[CellProposer]:
    """The study's cells as the records and Optuna's journal left them.

    Args:
        study: The study.
        storage: Holds the cells' Optuna studies.
        records: The study's ended trials, in the order of their ends.
        earlier: Cells of earlier studies: evidence for those of the same workload and optimizer; where a workload and
            optimizer has none, those of others guide its search.
    """
    cells: dict[str, list[Cell]] = {}
    for cell in study.cells:
        cells.setdefault(cell.group, []).append(cell)
    before: dict[str, list[EarlierCell]] = {}
    for other in earlier:
        before.setdefault(other.group, []).append(other)
    everything = [each for members in before.values() for each in members]
    groups = {
        name: Group(members, study.seed, before[name])
        if name in before
        else Group(members, study.seed, guide=guide_of(members, everything))
        for name, members in cells.items()
    }
    own: dict[str, list[Record]] = {cell.key: [] for cell in study.cells}
    for record in records:
        own[record.trial.cell].append(record)
        groups[record.trial.cell.rpartition(" ")[0]].end(record)
    return [CellProposer(study, cell, storage, own[cell.key], groups[cell.group]) for cell in study.cells]
