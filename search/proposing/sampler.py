"""Where to look next in one family of a cell: a quasi-random start, others' best, then TPE."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import optuna
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
    """A cell of the same workload and optimizer from which a search may start warm."""

    @property
    def name(self) -> str: ...

    def best(self, label: str) -> Record | None:
        """The best completed trial of a family so far."""
        ...


class FamilySampler:
    """Proposes the trials of one family of a cell.

    The first quarter of the family's share is a scrambled Sobol sequence. Then the best of each source is tried once,
    at its parameters and mean LR, in which the optimum moves little from budget to budget. The rest is TPE's
    (Bergstra et al., 2011; multivariate, with constant liar), which sees this family's trials only, so that a family
    that trails the others is still searched for its own best.

    Args:
        share: How many of the cell's trials the family gets.
        start: The share of these that is quasi-random.

    Attributes:
        ranges: What is searched of the family in the cell.
    """

    def __init__(self, study: Study, cell: Cell, space: FamilySpace, share: int, start: float = START) -> None:
        self._space = space
        self.ranges = distributions(space, cell)
        self._start = quasi_random(space, cell, self.ranges, math.ceil(start * share), study.seed)
        self._seed = stable_seed(study.seed, cell.key, space.label)
        self._study = optuna.create_study(direction=direction(cell))
        self._seeded = False
        self._trials: list[optuna.Trial] = []
        self._origins: set[str] = set()

    @property
    def proposed(self) -> int:
        """How many trials of the family have been proposed."""
        return len(self._trials)

    def propose(self, sources: Iterable[Source]) -> tuple[Values, str]:
        """The next trial's values and where they are from; it counts as running from here on."""
        index = len(self._trials)
        if index < len(self._start):
            given: tuple[Values, str] | None = self._start[index], QUASI_RANDOM
        else:
            given = self._of_others(sources)
        if given is None:
            self._seed_model()
            trial = self._study.ask(dict(self.ranges))
            self._trials.append(trial)
            return dict(trial.params), MODEL
        values, origin = given
        self._add(create_trial(state=TrialState.RUNNING, params=values, distributions=dict(self.ranges)))
        self._origins.add(origin)
        return values, origin

    def restore(self, frozen: FrozenTrial, origin: str) -> None:
        """Takes in a trial that an earlier process proposed; running if it has not ended."""
        self._add(
            create_trial(
                state=frozen.state,
                value=frozen.value,
                params={key: frozen.params[key] for key in self.ranges},
                distributions=dict(self.ranges),
                intermediate_values=frozen.intermediate_values,
                constraints=frozen.constraints,
            )
        )
        self._origins.add(origin)

    def end(self, index: int, record: Record) -> None:
        """Takes in the outcome of the family's trial ``index``, counted from 0."""
        tell(self._study, self._trials[index], record)

    def _seed_model(self) -> None:
        """A seed that says how far the family is, so that a resumed search does not draw the same numbers again."""
        if not self._seeded:
            seed = stable_seed(self._seed, len(self._trials))
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=0)
            self._seeded = True

    def _add(self, trial: FrozenTrial) -> None:
        self._study.add_trial(trial)
        self._trials.append(last_trial(self._study))

    def _of_others(self, sources: Iterable[Source]) -> tuple[Values, str] | None:
        for source in sources:
            best = source.best(self._space.label) if source.name not in self._origins else None
            if best is not None:
                return values_of(self._space, self.ranges, best.trial.schedule, best.trial.mean_lr), source.name
        return None


def direction(cell: Cell) -> StudyDirection:
    """Which way the cell's objective is better."""
    return StudyDirection.MINIMIZE if cell.mode == "min" else StudyDirection.MAXIMIZE


def last_trial(study: optuna.Study) -> optuna.Trial:
    """The trial that was added last, to be told about."""
    return optuna.Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)


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
