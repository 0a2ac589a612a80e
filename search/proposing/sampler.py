"""Optuna samplers of a cell: the surrogate's, and Optuna's own on the same search space."""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from phitune.search.proposing.group import Group
from phitune.search.proposing.space import FAMILY, all_distributions, stable_seed, values_at
from phitune.search.records.record import Record
from phitune.search.study.model import Cell, Sampler

QUASI_RANDOM, SURROGATE = "quasi-random", "surrogate"
# User attributes of a trial: where its configuration came from, and what it was expected to be worth.
ORIGIN, VALUE = "origin", "value"


class SurrogateSampler(BaseSampler):
    """Proposes the trials of a cell by the knowledge gradient of its group's belief.

    It samples the family, its parameters and its mean LR together, and notes `ORIGIN` and `VALUE` on the trial. A
    proposal is a function of the group's trials, the study's seed and the trial's number. In an Optuna study of
    anything else than the cell, and for parameters that the cell does not have, it samples at random.

    Args:
        group: The belief of the cell's workload and optimizer.
        cell: The cell; its key is the name of its Optuna study.
        seed: Of what is sampled at random.
    """

    def __init__(self, group: Group, cell: Cell, seed: int | None = None) -> None:
        self._group = group
        self._cell = cell
        self._space = all_distributions(cell)
        self._random = RandomSampler(seed=seed)

    def reseed_rng(self) -> None:
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space if study.study_name == self._cell.key else {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        if search_space != self._space:
            return {name: self.sample_independent(study, trial, name, each) for name, each in search_space.items()}
        proposal = self._group.propose(self._cell, trial.number)
        trial.set_user_attr(ORIGIN, QUASI_RANDOM if proposal.value is None else SURROGATE)
        trial.set_user_attr(VALUE, proposal.value)
        return dict(values_at(self._cell, proposal.at, 0))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        self._raise_error_if_multi_objective(study)
        return self._random.sample_independent(study, trial, param_name, param_distribution)


class CellSampler:
    """The sampler of a study file at work on a cell: makes its trials, in no storage yet.

    Args:
        kind: The sampler.
        group: The belief of the cell's workload and optimizer.
        study: The cell's Optuna study.
        seed: The study file's.
    """

    def __init__(self, kind: Sampler, group: Group, cell: Cell, study: optuna.Study, seed: int) -> None:
        self._kind = kind
        self._study = study
        self._seed = stable_seed(seed, cell.key)
        self._space = all_distributions(cell)
        self._surrogate = SurrogateSampler(group, cell, self._seed)

    def trial(self, number: int) -> FrozenTrial:
        """The next trial, running, with `ORIGIN` and, from the surrogate, `VALUE`."""
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        study, sampler = (self._study, self._surrogate) if self._kind == "surrogate" else self._optunas(number)
        values = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
        trial.user_attrs.setdefault(ORIGIN, self._kind)

        def value(name: str) -> Any:
            return values[name] if name in values else sampler.sample_independent(study, trial, name, self._space[name])

        family = value(FAMILY)
        names = [name for name in self._space if name.startswith(f"{family}.")]
        trial.params = {FAMILY: family, **{name: value(name) for name in names}}
        trial.distributions = {name: self._space[name] for name in trial.params}
        return trial

    def _optunas(self, number: int) -> tuple[optuna.Study, BaseSampler]:
        """A sampler of Optuna's and what it reads; it notes what it proposes with a trial that is not stored yet."""
        seed = stable_seed(self._seed, number)
        sampler = (
            TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            if self._kind == "tpe"
            else RandomSampler(seed=seed)
        )
        snapshot = _Snapshot(self._study.get_trials(deepcopy=False))
        return optuna.create_study(storage=snapshot, sampler=sampler, direction=self._study.direction), sampler


class _Snapshot(InMemoryStorage):
    """Trials of another study, to be read by a sampler."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._trials = trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_system_attr(self, trial_id: int, key: str, value: object) -> None:
        """Ignores the sampler's note of the proposed values: they are stored with the trial."""


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
