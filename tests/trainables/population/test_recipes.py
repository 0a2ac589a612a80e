"""What a recipe changes, it changes alike in a population and alone; and rounding is all that tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from phitune.trainables.population.population import Population
from phitune.trainables.spec import Spec, Value
from phitune.trainables.training import Step
from tests.trainables.population.own import Frozen, RandomFeatures, Tied, precise
from tests.trainables.population.twins import Twins, gpt, precise_workload


@pytest.mark.parametrize("optimizer", ["sgd", "adam(weight_decay=0.1)", "adamw(weight_decay=0.1)"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"clip_norm": 0.5},
        {"accumulate": 3},
        {"label_smoothing": 0.1},
        {"weight_decay": 0.5},
        {"weight_decay": 0.0},
        {"clip_norm": 0.5, "accumulate": 2, "label_smoothing": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["cnn/digits", "logreg/digits"])
def test_a_recipe_is_kept(name: str, recipe: dict[str, Value], optimizer: str) -> None:
    twins = Twins(precise_workload(name, **{"batch_size": 16, **recipe}), optimizer)
    for seed in range(3):
        twins.enter(seed)
    twins.train(6, 0.01)
    twins.check()


def test_clipping_bounds_some_rows_and_leaves_others() -> None:
    """The bound lies between two trials' norms."""
    free, bound = Twins(precise_workload("mlp/digits"), "sgd"), 0.0
    for clip in (0.0, 1.0):
        twins = free if not clip else Twins(precise_workload("mlp/digits", clip_norm=bound), "sgd")
        for seed in (0, 1):
            twins.enter(seed)
        twins.train(1, 0.1)
        twins.check()
        norms = [member.norms().grad for member in twins.members.values()]
        bound = sum(norms) / 2
    assert min(norms) < bound < max(norms)


def test_frozen_parameters_stay_and_shared_ones_are_one() -> None:
    twins = Twins(precise(Frozen), "sgd(weight_decay=0.5)")
    twins.enter(0)
    before = twins.members[0].state_dict()["model"]
    twins.train(5, 0.1)
    after = twins.members[0].state_dict()["model"]
    assert [key for key in before if torch.equal(before[key], after[key])] == ["1.weight", "1.bias"]

    twins = Twins(precise(Tied), "sgd")
    twins.enter(0)
    twins.train(5, 0.1)
    twins.check()
    model = twins.members[0].state_dict()["model"]
    assert torch.equal(model["into.weight"], model["again.weight"])


def test_a_buffer_that_no_state_holds_is_the_trials_own() -> None:
    """Trial 1 is looked at last before trial 0 takes over a state."""
    twins = Twins(precise(RandomFeatures), "sgd")
    for seed in (0, 1):
        twins.enter(seed)
    twins.train(2, 0.1)
    state = twins.alone[0].state_dict()
    twins.members[1].state_dict()
    twins.members[0].load_state_dict(state)
    twins.train(2, 0.1)
    twins.check()


@pytest.mark.parametrize(("kind", "finer"), [("fp32", "fp64"), ("bf16", "fp32")])
@pytest.mark.parametrize("name", ["mlp", "cnn", "gpt"])
def test_rounding_is_all_that_differs(name: str, kind: str, finer: str, tmp_path: Path) -> None:
    """A trial in a population is no farther from the same alone than that is from itself in finer numbers."""
    weights: dict[tuple[bool, str], dict[str, torch.Tensor]] = {}
    for precision in (kind, finer):
        recipe: dict[str, Value] = {"batch_size": 4, "precision": precision}
        built = gpt(tmp_path, **recipe) if name == "gpt" else precise_workload(f"{name}/digits", **recipe)
        alone = built.learner(Spec("sgd"), 0, 10)
        population = Population(built, Spec("sgd"), 3)
        members = [population.enter(seed) for seed in range(3)]
        for _ in range(8):
            alone.step(0.01)
            population.step({member: Step(0.01, None) for member in members})
        weights[False, precision] = alone.state_dict()["model"]
        weights[True, precision] = members[0].state_dict()["model"]
        assert members[0].evaluate("val").loss == pytest.approx(alone.evaluate("val").loss, rel=0.01)
    rounding = _apart(weights[False, kind], weights[False, finer])
    assert _apart(weights[True, kind], weights[False, kind]) < 2 * rounding
    # And it does round.
    assert _apart(weights[True, kind], weights[True, finer]) > 0.05 * rounding


def _apart(here: Any, there: Any) -> float:
    return sum(float((here[key].double() - there[key].double()).norm() ** 2) for key in there) ** 0.5
