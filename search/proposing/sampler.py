"""Optuna samplers of a cell: the surrogate's, and Optuna's own on the same search space."""

from __future__ import annotations

import copy
import math
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from phitune.search.proposing.group import Group
from phitune.search.proposing.space import FAMILY, all_distributions, point, stable_seed, values_at
from phitune.search.records.record import Record, Trial
from phitune.search.study.cell import Cell
from phitune.search.study.model import Sampler
from phitune.trainables.schedules import from_dict

QUASI_RANDOM, SURROGATE = "quasi-random", "surrogate"
# User attributes of a trial: where its configuration came from, what it was expected to be worth, and the schedule,
# base LR and mean LR that it trains, which stay what they are when the study's ranges change.
ORIGIN, VALUE, CONFIGURATION = "origin", "value", "configuration"


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
        self._cell = cell
        self._seed = stable_seed(seed, cell.key)
        self._space = all_distributions(cell)
        self._surrogate = SurrogateSampler(group, cell, self._seed)

    def trial(self, number: int) -> FrozenTrial:
        """The next trial, running, with `ORIGIN`, `CONFIGURATION` and, from the surrogate, `VALUE`."""
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
        space = next(space for space in self._cell.families if space.label == family)
        at = point(space, self._cell, trial.params)
        configuration = {"schedule": at.schedule.to_dict(), "base_lr": at.base_lr, "mean_lr": at.mean_lr}
        trial.set_user_attr(CONFIGURATION, configuration)
        return trial

    def again(self, trial: Trial) -> FrozenTrial:
        """An explore trial of the study as Optuna would have had it, running; for a history that lacks it."""
        schedule = from_dict(trial.schedule)
        values = {"mean_lr": trial.mean_lr}
        for space in self._cell.families:
            if space.label == trial.family:
                values |= {key: getattr(schedule, key) for key in space.searched}
        frozen = create_trial(state=TrialState.RUNNING)
        frozen.number = trial.number
        frozen.params = {FAMILY: trial.family, **{f"{trial.family}.{key}": each for key, each in values.items()}}
        frozen.distributions = {name: _stretched(self._space.get(name), each) for name, each in frozen.params.items()}
        configuration = {key: getattr(trial, key) for key in ("schedule", "base_lr", "mean_lr")}
        frozen.user_attrs = {ORIGIN: trial.origin, CONFIGURATION: configuration}
        return frozen

    def belongs(self, trial: FrozenTrial) -> bool:
        """Whether a trial of the cell's history lies in what the cell searches now."""
        low, high = self._cell.base_lr
        base_lr = trial.user_attrs.get(CONFIGURATION, {}).get("base_lr", math.nan)
        return low <= base_lr <= high and _present(trial, self._space) is not None

    def _optunas(self, number: int) -> tuple[optuna.Study, BaseSampler]:
        """A sampler of Optuna's and what it reads; it notes what it proposes with a trial that is not stored yet.

        Trials outside of what the cell searches now are left out: these samplers model the present ranges alone.
        """
        seed = stable_seed(self._seed, number)
        sampler = (
            TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            if self._kind == "tpe"
            else RandomSampler(seed=seed)
        )
        past = (_present(trial, self._space) for trial in self._study.get_trials(deepcopy=False))
        snapshot = _Snapshot([trial for trial in past if trial is not None])
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


def _present(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> FrozenTrial | None:
    """The trial with the distributions of ``space``; None if it lies outside of them."""
    if not all(name in space and _holds(space[name], value) for name, value in trial.params.items()):
        return None
    distributions = {name: space[name] for name in trial.params}
    if distributions == trial.distributions:
        return trial
    moved = copy.copy(trial)
    moved.distributions = distributions
    return moved


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, FloatDistribution):
        return bool(distribution.low <= value <= distribution.high)
    return isinstance(distribution, CategoricalDistribution) and value in distribution.choices


def _stretched(distribution: BaseDistribution | None, value: Any) -> BaseDistribution:
    """The distribution, or one that is larger by the value that it lacks."""
    if isinstance(value, str):
        choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
        return CategoricalDistribution(list(dict.fromkeys([*choices, value])))
    low, high = (distribution.low, distribution.high) if isinstance(distribution, FloatDistribution) else (value, value)
    return FloatDistribution(min(low, value), max(high, value), log=True)


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
