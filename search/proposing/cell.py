"""The trials of one cell: its explore trials on an Optuna study, then replicates of the finalists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from phitune.search.proposing.finalists import best_of_families, finalists
from phitune.search.proposing.sampler import START, FamilySampler, Source, direction, last_trial, tell
from phitune.search.proposing.space import Values, family_order, point, stable_seed
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.retries import Luck
from phitune.search.study.model import Cell, Study


class CellProposer:
    """A cell's trials: every family's own search, then replicates of the finalists.

    The family of every explore trial is fixed in advance (`search.proposing.space.family_order`); what is tried of it,
    `proposing.sampler.FamilySampler` decides. Everything is a function of the study file, the Optuna storage and the
    records, so a new process goes on where the last one died.

    Args:
        storage: Holds the cell's Optuna study: one trial for each that was ever proposed.
        records: The cell's ended trials so far.
        start: The share of each family's explore trials that is quasi-random.

    Attributes:
        total: Trials of the cell in all; None until the finalists are known.
    """

    def __init__(
        self, study: Study, cell: Cell, storage: BaseStorage, records: Iterable[Record], start: float = START
    ) -> None:
        self.cell = cell
        self.sources: tuple[Source, ...] = ()
        self.total: int | None = None
        self._study = study
        self._order = family_order(cell.families, study.trials)
        shares = Counter(space.label for space in self._order)
        self._spaces = {space.label: space for space in cell.families}
        self._samplers = {
            label: FamilySampler(study, cell, space, shares[label], start) for label, space in self._spaces.items()
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
