"""The surrogate as an Optuna sampler: Optuna's own tests of samplers, and the cell's own search space."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from phitune.search.proposing.group import START, Group
from phitune.search.proposing.sampler import SurrogateSampler
from phitune.search.proposing.space import FAMILY, all_distributions
from phitune.search.study.cell import Cell
from phitune.search.study.model import parse_study

optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_cell() -> Cell:
    return parse_study({"name": "s", "workloads": ["mlp/digits"], "budgets": [64]}).cells[0]


def make_sampler() -> SurrogateSampler:
    cell = make_cell()
    return SurrogateSampler(Group([cell], seed=0), cell, seed=0)


class TestOptunasOwn(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return make_sampler


def test_it_samples_a_family_with_its_own_dimensions_in_the_cells_study() -> None:
    cell = make_cell()
    study = optuna.create_study(study_name=cell.key, sampler=make_sampler())
    space = all_distributions(cell)
    families = set()
    for _ in range(START):
        trial = study.ask()
        family = trial.suggest_categorical(FAMILY, space[FAMILY].choices)  # type: ignore[attr-defined]
        families.add(family)
        relative: dict[str, Any] = trial.relative_params
        own = {name for name in space if name.startswith(f"{family}.")}
        assert relative.keys() == {FAMILY, *own}
        assert all(space[name]._contains(relative[name]) for name in own)
    assert len(families) > 1


def test_a_proposal_is_a_function_of_the_trials_and_the_number() -> None:
    cell = make_cell()
    study = optuna.create_study(study_name=cell.key, storage=InMemoryStorage())
    samplers = make_sampler(), make_sampler()
    samplers[1].reseed_rng()
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    trial.number = 3
    first, second = (sampler.sample_relative(study, trial, all_distributions(cell)) for sampler in samplers)
    assert first == second
    trial.number = 4
    assert samplers[0].sample_relative(study, trial, all_distributions(cell)) != first
