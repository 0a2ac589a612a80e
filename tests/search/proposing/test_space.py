"""The space: conditional, in mean LR, and the same for Optuna and for the surrogate."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution

from phitune.analysis.surrogate.coordinates import coordinates
from phitune.search.proposing.space import FAMILY, all_distributions, distributions, point, surrogate_space, values_at
from phitune.search.study.cell import Cell
from phitune.search.study.families import FamilySpace
from phitune.search.study.model import Study, parse_study

STUDY: Study = parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [100], "trials": 70})
CELL: Cell = STUDY.cells[0]


@pytest.mark.parametrize("label", [each.label for each in CELL.families])
def test_only_uba_has_phi_and_every_point_is_allowed(label: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    ranges = distributions(space(label), CELL)
    for _ in range(40):
        values = study.ask(dict(ranges)).params
        assert set(values) == {f"{label}.mean_lr"} | ({"uba.phi"} if label == "uba" else set())
        configuration = point(space(label), CELL, values)
        assert configuration.schedule.family == label
        assert CELL.base_lr[0] <= configuration.base_lr <= CELL.base_lr[1]
        if CELL.base_lr[0] < configuration.base_lr < CELL.base_lr[1]:
            assert configuration.mean_lr == pytest.approx(values[f"{label}.mean_lr"])


def space(name: str, cell: Cell = CELL) -> FamilySpace:
    return next(each for each in cell.families if each.label == name)


def test_a_configuration_of_the_surrogate_and_its_values_are_one_place() -> None:
    surrogate = surrogate_space(CELL)
    at = surrogate.quasi_random(64, seed=0)
    places = surrogate.places(at)
    dimensions = all_distributions(CELL)
    for row in range(len(at)):
        values = values_at(CELL, at, row)
        label = str(values.pop(FAMILY))
        numbers = {name: float(value) for name, value in values.items()}
        for name, value in numbers.items():
            allowed = dimensions[name]
            assert isinstance(allowed, FloatDistribution)
            assert allowed.low <= value <= allowed.high
        configuration = point(space(label), CELL, numbers)
        assert configuration.base_lr == pytest.approx(math.exp(at.log_lr[row]))
        place = coordinates(configuration.schedule, CELL.budget, configuration.base_lr)
        # The surrogate interpolates shapes.
        np.testing.assert_allclose(places[row], place, atol=0.01)
