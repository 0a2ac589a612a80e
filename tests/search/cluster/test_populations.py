"""Which trials train together: what a trial then occupies, and what the user hears of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from phitune.search.cluster.connect import quiet
from phitune.search.cluster.populations import fitting, placed, share
from phitune.search.cluster.slots import bundle, places
from phitune.search.study.cell import Together
from phitune.search.study.model import parse_study
from phitune.search.study.sections import Resources
from phitune.trainables.errors import InputError


@pytest.mark.parametrize("rows", [2, 3, 6, 7, 64, 300])
@pytest.mark.parametrize("whole", [Resources(), Resources(cpu=2, gpu=1), Resources(cpu=5, gpu=0.5)])
def test_as_many_as_train_together_fit_where_one_did(whole: Resources, rows: int) -> None:
    part = share(whole, rows)
    assert places(part, [bundle(whole)]) >= rows
    # As many as Ray's four places allow.
    assert rows <= fitting(whole, part) <= 1.05 * rows


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    quiet(verbose=False)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_as_the_study_says_and_as_the_workload_can() -> None:
    study = parse_study(
        {
            "name": "s",
            "workloads": ["mlp/digits"],
            "budgets": [16, 32],
            "optimizers": ["adamw", "schedulefree-adamw"],
            "population": 4,
        }
    )
    messages: list[str] = []
    cells = placed(study, study.cells, messages.append)
    together = {(cell.optimizer.name, cell.budget): (cell.resources, cell.together) for cell in cells}
    alone, shared = (Resources(), None), (Resources(cpu=0.25), Together(4, Resources()))
    assert together == {
        ("adamw", 16): shared,
        ("adamw", 32): shared,
        ("schedulefree-adamw", 16): alone,
        ("schedulefree-adamw", 32): alone,
    }
    # On a busy machine it is also said that one looks.
    assert [line for line in messages if "looking" not in line] == [
        "population: trials of mlp/digits with adamw train 4 at a time",
        "population: trials of mlp/digits with schedulefree-adamw train one at a time: "
        "schedulefree-adamw has no update for many at once",
    ]


@pytest.mark.parametrize("population", ["off", "auto", 1])
def test_on_cpus_trials_are_alone_unless_the_study_says_otherwise(population: str | int) -> None:
    study = parse_study({"name": "s", "workloads": ["mlp/digits"], "population": population})
    messages: list[str] = []
    assert placed(study, study.cells, messages.append) == list(study.cells)
    assert not messages


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("many", "population: 'many' is not allowed"),
        (0, "population: 0 is not allowed"),
        (2.5, "population: 2.5 is not allowed"),
        (True, "population: True is not allowed"),
    ],
)
def test_what_it_may_be(value: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        parse_study({"name": "s", "workloads": ["quadratic"], "population": value})


def test_it_trains_on_one_gpu() -> None:
    study = {"name": "s", "workloads": ["quadratic"], "population": 2, "resources": {"gpu": 2}}
    with pytest.raises(InputError, match="population: 2 is not allowed with 2 GPUs a trial"):
        parse_study(study)
