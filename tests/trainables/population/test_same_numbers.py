"""Trials that come, go, are saved and go on in a population have the numbers that they have alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from phitune.trainables.training import Step
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload
from tests.trainables.population.own import Dropout, Frozen, OwnBatch, RandomFeatures, Tied, Vit, precise
from tests.trainables.population.twins import GRADIENT, OPTIMIZERS, Twins, gpt, precise_workload
from tests.trainables.workloads.pictures import folder_of_images

PLACES = 4
WITHOUT = 0.2
"""Below this part of the highest LR, a schedule that cycles momentum sets it to 0."""


class Turn(NamedTuple):
    """An event for the trial at a place, and the steps of the trials at some places after it."""

    event: str
    place: int
    stepping: set[int]
    times: int
    lrs: list[float]


places = st.integers(0, PLACES - 1)
rounds = st.lists(
    st.builds(
        Turn,
        event=st.sampled_from(["enter", "leave", "return", "look"]),
        place=places,
        stepping=st.sets(places),
        times=st.integers(1, 3),
        lrs=st.lists(st.floats(0, 1), min_size=PLACES, max_size=PLACES),
    ),
    min_size=4,
    max_size=12,
)
# The momentum of each trial's schedule: none, or one that changes at each step.
momenta = st.lists(st.sampled_from([None, 0.5, 0.95]), min_size=PLACES, max_size=PLACES)


def run(twins: Twins, lr: float, program: list[Turn], momenta: list[float | None], steps: int) -> None:
    """Has trials enter, leave and step until they have made ``steps`` steps in all."""
    seeds, here = count(), dict[int, int]()

    def enter(place: int) -> None:
        here[place] = next(seeds)
        twins.enter(here[place])

    def step(stepping: set[int], lrs: list[float]) -> int:
        requests = {}
        for place in stepping & here.keys():
            momentum = momenta[place] and momenta[place] * (0.9 + 0.1 * lrs[place])
            if momentum and lrs[place] < WITHOUT:
                momentum = 0.0
            requests[here[place]] = Step(lr * lrs[place], momentum)
        if requests:
            twins.step(requests)
        return len(requests)

    total = 0
    enter(0)
    for event, place, stepping, times, lrs in program:
        if event == "enter" and place not in here:
            enter(place)
        elif event == "leave" and place in here:
            twins.leave(here.pop(place))
        elif event == "return" and place in here:
            twins.return_(here[place])
        elif event == "look" and place in here:
            twins.members[here[place]].evaluate("val", averaged=True)
        for _ in range(times if total < steps else 0):
            total += step(stepping, lrs)
    if not here:
        enter(0)
    while total < steps:
        total += step(set(range(PLACES)), [0.1, 0.3, 0.5, 1.0])
    twins.check(diagnosis=GRADIENT)


def images(folder: Path) -> TorchWorkload:
    return precise_workload("cnn/images", root=folder_of_images(folder, {"train": 20}), size=16, batch_size=8)


@pytest.mark.parametrize("optimizer", ["sgd", "amsgrad"])
def test_all_that_is_a_trials_changes_places_with_it(optimizer: str) -> None:
    """After a dozen steps, when averages are no longer the weights themselves."""
    twins = Twins(precise_workload("cnn/digits", batch_size=16), optimizer)
    for seed in range(3):
        twins.enter(seed)
    twins.train(12, 0.003)
    twins.leave(0)
    twins.check()
    twins.step({1: Step(0.01, None)})
    twins.step({2: Step(0.01, None)})
    twins.check()


KINDS: dict[str, tuple[Callable[[Path], TorchWorkload], float, int, int]] = {
    # The workload, its highest LR with SGD, steps in all, examples of hypothesis.
    "mlp": (lambda _: precise_workload("mlp/digits"), 0.1, 100, 5),
    "cnn": (lambda _: precise_workload("cnn/digits", batch_size=32), 0.1, 100, 3),
    "resnet8": (lambda _: precise_workload("resnet8/digits", batch_size=8), 0.1, 40, 2),
    "logreg": (lambda _: precise_workload("logreg/wine"), 0.1, 100, 3),
    "table": (lambda _: precise_workload("mlp/iris", batch_size=16), 0.1, 100, 3),
    "gpt": (lambda folder: gpt(folder, batch_size=2), 0.1, 100, 2),
    "images": (images, 0.05, 60, 2),
    "vit": (lambda _: precise(Vit, batch_size=16), 0.01, 60, 2),
    "own batch": (lambda _: precise(OwnBatch, batch_size=16), 0.1, 100, 3),
    "frozen": (lambda _: precise(Frozen, batch_size=16), 0.1, 100, 3),
    "tied": (lambda _: precise(Tied, batch_size=16), 0.1, 100, 3),
    "random features": (lambda _: precise(RandomFeatures, batch_size=16), 0.1, 100, 3),
    "dropout": (lambda _: precise(Dropout, batch_size=8), 0.05, 60, 2),
}


# Of the others `make test` has the conformance suites' trials among others.
QUICK = ("mlp", "cnn", "own batch", "tied")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.full) for kind in KINDS]
)
def test_a_population_of_trials_that_come_and_go(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    make, lr, steps, examples = KINDS[kind]
    built = make(tmp_path_factory.mktemp("data"))

    # To shrink a program that fails would take minutes.
    @settings(max_examples=examples, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain})
    @given(program=rounds, momenta=momenta, optimizer=st.sampled_from(OPTIMIZERS))
    def same(program: list[Turn], momenta: list[float | None], optimizer: str) -> None:
        adam = not optimizer.startswith("sgd")
        run(Twins(built, optimizer, PLACES), lr * (0.1 if adam else 1.0), program, momenta, steps)

    same()
