"""Where to look next in one family of a cell: a quasi-random start, others' best, then TPE."""

from __future__ import annotations

import copy
import math
from collections.abc import Container, Iterable
from typing import Protocol

import optuna
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from phitune.search.proposing.space import Values, distributions, quasi_random, stable_seed, values_of
from phitune.search.records.record import Record
from phitune.search.study.families import FamilySpace
from phitune.search.study.model import Cell, Study

QUASI_RANDOM, MODEL = "quasi-random", "tpe"
# The share of a family's trials that is quasi-random.
START = 1 / 4


class Source(Protocol):
    """A cell of the same workload and optimizer whose best trials a search may try."""

    @property
    def name(self) -> str: ...

    def best(self, label: str) -> Record | None:
        """The best completed trial of a family so far."""
        ...


class FamilySampler:
    """Proposes the trials of one family of a cell.

    The first quarter of the family's share is a scrambled Sobol sequence. Then the best trial of each source is tried
    once, at its parameters and mean LR; the optimal mean LR changes little from budget to budget. All others are
    TPE's (Bergstra et al., 2011; multivariate, with constant liar), which sees this family's trials only, so that a
    family that trails the others is still searched for its own best.

    It has no state: a proposal is a function of the study file and of the family's trials in the cell's Optuna study.

    Args:
        history: The cell's Optuna study.
        share: How many of the cell's trials the family gets.
        start: The share of these that is quasi-random.

    Attributes:
        ranges: The searched dimensions of the family in the cell.
    """

    def __init__(
        self, study: Study, cell: Cell, space: FamilySpace, history: optuna.Study, share: int, start: float = START
    ) -> None:
        self._space = space
        self.ranges = distributions(space, cell)
        self._start = quasi_random(space, cell, self.ranges, math.ceil(start * share), study.seed)
        self._seed = stable_seed(study.seed, cell.key, space.label)
        self._direction = direction(cell)
        self._history = history

    def propose(self, sources: Iterable[Source]) -> tuple[Values, str]:
        """The values of the next trial, within `ranges`, and their origin."""
        label = self._space.label
        trials = [trial for trial in self._history.get_trials(deepcopy=False) if trial.params["family"] == label]
        if len(trials) < len(self._start):
            return self._start[len(trials)], QUASI_RANDOM
        origins = {trial.user_attrs["origin"] for trial in trials}
        for source in sources:
            best = source.best(label) if source.name not in origins else None
            if best is not None:
                return values_of(self._space, self.ranges, best.trial.schedule, best.trial.mean_lr), source.name
        return self._model(trials), MODEL

    def _model(self, trials: list[FrozenTrial]) -> Values:
        """TPE's proposal after these trials of the family."""
        sampler = TPESampler(seed=stable_seed(self._seed, len(trials)), multivariate=True, n_startup_trials=0)
        family = optuna.create_study(storage=_Snapshot(trials), sampler=sampler, direction=self._direction)
        return sampler.sample_relative(
            family, create_trial(state=TrialState.RUNNING), dict(sorted(self.ranges.items()))
        )


class _Snapshot(InMemoryStorage):
    """Trials of another study, to be read by `TPESampler`."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._trials = trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_system_attr(self, trial_id: int, key: str, value: object) -> None:
        """Ignores TPE's note of the proposed values: they are stored with the trial."""


def direction(cell: Cell) -> StudyDirection:
    """Whether Optuna minimises or maximises the cell's objective."""
    return StudyDirection.MINIMIZE if cell.mode == "min" else StudyDirection.MAXIMIZE


def tell(study: optuna.Study, trial: optuna.Trial, record: Record) -> None:
    """Tells Optuna how a trial ended: diverged ones are infeasible, stopped ones pruned at their last rung."""
    if record.status == "completed":
        study.tell(trial, record.final["objective"])
    elif record.status == "failed":
        study.tell(trial, state=TrialState.FAIL)
    else:
        if record.status == "diverged":
            trial.set_constraint("diverged", 1.0)
        elif record.rungs:
            step, value = record.rungs[-1]
            trial.report(value, step)
        study.tell(trial, state=TrialState.PRUNED)
