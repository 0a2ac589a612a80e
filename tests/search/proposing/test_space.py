"""The space: conditional, in mean LR, with an even start and fair shares."""

from collections import Counter

import numpy as np
import optuna
import pytest

from phitune.search.proposing.space import Values, distributions, family_order, point, quasi_random, values_of
from phitune.search.study.families import FamilySpace
from phitune.search.study.model import Cell, Study, parse_study

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
            again = values_of(space(label), ranges, configuration.schedule.to_dict(), configuration.mean_lr)
            assert again == pytest.approx(values)


def space(name: str, cell: Cell = CELL) -> FamilySpace:
    return next(each for each in cell.families if each.label == name)


def start(name: str, count: int, cell: Cell = CELL) -> list[Values]:
    family = space(name, cell)
    return quasi_random(family, cell, distributions(family, cell), count, 0)


@pytest.mark.parametrize("name", ["uba", "linear"])
def test_the_start_is_even_in_log_base_lr_and_log_phi(name: str) -> None:
    points = [point(space(name), CELL, values) for values in start(name, 64)]
    low, high = CELL.base_lr
    shares = [np.log([p.base_lr / low for p in points]) / np.log(high / low)]
    if name == "uba":
        low, high = STUDY.space.phi
        shares.append(np.log([p.schedule.to_dict()["phi"] / low for p in points]) / np.log(high / low))
    for share in shares:
        counts, _ = np.histogram(share, bins=8, range=(0, 1))
        assert counts.tolist() == [8] * 8


def test_the_start_differs_between_cells_and_not_between_processes() -> None:
    other = parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [101]}).cells[0]
    first = start("uba", 4)
    assert first == start("uba", 4)
    assert first == start("uba", 9)[:4]
    assert first != start("uba", 4, other)
    # Written down once: a change of the seeding would make resumed studies inconsistent.
    assert first[0]["uba.phi"] == pytest.approx(5.004561983661279, rel=1e-9)


def test_shares_are_fair_at_every_length() -> None:
    order = [each.label for each in family_order(CELL.families, STUDY.trials)]
    assert Counter(order) == {"uba": 38, "rex": 8, "linear": 8, "cosine": 8, "step": 8}
    for length in range(5, 71):
        counts = Counter(order[:length])
        assert abs(counts["uba"] - 5 * length / 9) <= 2.5
        assert min(counts.values()) >= 1
