"""Room for trials: counted node by node, for trials of several kinds, and over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from phitune.search.cluster.connect import no_room
from phitune.search.cluster.slots import Slots, packed, places, room, words
from phitune.search.study.sections import Resources

SMALL, LARGE = {"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}
CPU, GPU = Resources(), Resources(cpu=2, gpu=0.5)


def none() -> int:
    return 0


@pytest.mark.parametrize(
    ("cpu", "gpu", "nodes", "expected"),
    [
        (1, 0, [SMALL, SMALL], 4),
        (0.5, 0, [SMALL, SMALL], 8),
        (3, 0, [SMALL, SMALL], 0),
        (1, 1 / 3, [SMALL, LARGE], 3),
        (4, 0.25, [LARGE], 2),
        (0.125, 0.5, [SMALL, LARGE, LARGE], 4),
    ],
)
def test_a_trial_lies_on_one_node(cpu: float, gpu: float, nodes: list[dict[str, float]], expected: int) -> None:
    assert places(Resources(cpu=cpu, gpu=gpu), nodes) == expected


@pytest.mark.parametrize(
    ("cpu", "count", "nodes", "expected"),
    [
        (1, 2, [SMALL, SMALL], 2),
        (2, 2, [SMALL, SMALL], 1),
        (1, 3, [SMALL, SMALL], 0),
        (1, 2, [LARGE, SMALL], 2),
        (1, 2, [LARGE, SMALL, SMALL], 4),
        (1, 3, [LARGE, SMALL, {"CPU": 1.0}], 1),
        (2, 2, [SMALL], 0),
    ],
)
def test_the_parts_of_a_trial_on_several_nodes_share_none(
    cpu: float, count: int, nodes: list[dict[str, float]], expected: int
) -> None:
    kind = Resources(cpu=cpu, nodes=count)
    assert places(kind, nodes) == expected
    free, over = packed(nodes, {kind: expected + 2})
    assert over == {kind: 2}
    assert sum(map(Counter.total, free)) == sum(sum(node.values()) for node in nodes) - cpu * count * expected
    assert places(kind, free) == 0


@pytest.mark.parametrize(
    ("wanted", "taken", "expected"),
    [
        (CPU, {GPU: 1}, 8),
        (CPU, {GPU: 2}, 6),
        (GPU, {CPU: 2}, 2),
        (GPU, {CPU: 8}, 1),
        (GPU, {CPU: 9}, 0),
        (GPU, {GPU: 2}, 0),
        (CPU, {CPU: 4, GPU: 3}, 2),
        (CPU, {Resources(nodes=2): 1}, 8),
        (Resources(nodes=2), {CPU: 1}, 1),
    ],
)
def test_trials_of_other_kinds_take_room_those_without_a_gpu_first_where_there_is_none(
    wanted: Resources, taken: dict[Resources, int], expected: int
) -> None:
    free, over = packed([LARGE, SMALL], taken)
    assert places(wanted, free) == expected
    assert over.total() == (1 if taken.get(GPU, 0) > 2 else 0)


@pytest.mark.parametrize(
    ("wanted", "nodes", "message"),
    [
        (
            Resources(cpu=4, nodes=2),
            [SMALL, SMALL],
            "resources.cpu: 4 is not allowed; the cluster has 4 CPUs, 2 on one",
        ),
        (Resources(cpu=2, nodes=3), [SMALL, SMALL], "resources.nodes: 3 is not allowed; 2 nodes of the cluster have 2"),
        (
            Resources(cpu=2, nodes=2),
            [SMALL],
            "resources.nodes: 2 is not allowed; one node of the cluster has 2 CPUs, and",
        ),
        (
            Resources(cpu=4, gpu=1, nodes=2),
            [LARGE, {"CPU": 4.0}],
            "one node of the cluster has 4 CPUs and 1 GPU, and no",
        ),
    ],
)
def test_what_no_nodes_can_hold_is_refused_with_the_reason(
    wanted: Resources, nodes: list[dict[str, float]], message: str
) -> None:
    assert not places(wanted, nodes)
    assert message in str(no_room(wanted, nodes))


def test_slots_follow_the_nodes_and_room_is_summed_over_time() -> None:
    nodes: Sequence[Mapping[str, float]] = [SMALL]
    now = 0.0
    slots = Slots([CPU], lambda: nodes, none, lambda: now)
    assert slots.now == 2
    nodes = [SMALL, LARGE]
    now = 0.5
    slots.look()
    assert slots.now == 2, "asked once a second"
    now = 2.0
    slots.look()
    assert slots.now == 10
    now = 3.0
    nodes = []
    slots.look()
    assert slots.now == 1
    assert slots.may_start(CPU), "the search waits with one trial for the next node"
    slots.take(CPU)
    assert not slots.may_start(CPU)
    assert slots.waiting() == {CPU: 1}
    now = 4.0
    assert slots.seconds == pytest.approx(2 * 2 + 10 * 1 + 1 * 1)


def test_trials_wait_for_nodes_that_the_autoscaler_may_bring() -> None:
    ahead = 4
    now = 0.0
    slots = Slots([CPU], lambda: [SMALL], lambda: ahead, lambda: now)
    for _ in range(6):
        assert slots.may_start(CPU)
        slots.take(CPU)
    assert (slots.may_start(CPU), slots.now) == (False, 2)
    ahead, now = 0, 1.0
    slots.look()
    slots.free(CPU)
    assert not slots.may_start(CPU), "those that wait come first"


def test_a_process_that_is_kept_leaves_no_room_for_other_kinds_until_it_is_released() -> None:
    slots = Slots([CPU, GPU], lambda: [{"CPU": 2.0, "GPU": 1.0}], none)
    slots.take(CPU)
    slots.take(CPU)
    assert (slots.may_start(CPU), slots.may_start(GPU), slots.now) == (False, False, 2)
    slots.free(CPU)
    slots.free(CPU)
    assert (slots.may_start(CPU), slots.may_start(GPU)) == (True, False)
    assert slots.warm() == {CPU: 2, GPU: 0}
    slots.release({CPU})
    assert slots.warm() == {CPU: 0, GPU: 0}
    assert slots.may_start(GPU)
    slots.take(GPU)
    assert (slots.may_start(CPU), slots.warm()) == (False, {CPU: 0, GPU: 1})


def test_a_kind_that_no_node_can_hold_waits_with_one_trial_beside_the_others() -> None:
    slots = Slots([CPU, GPU], lambda: [SMALL], none)
    slots.take(CPU)
    assert slots.may_start(GPU)
    slots.take(GPU)
    assert (slots.may_start(GPU), slots.may_start(CPU), slots.now) == (False, True, 2)
    assert slots.waiting() == {GPU: 1}
    assert words(GPU) == "2 CPUs and 0.5 GPU"
    assert room(GPU) == "a node with 2 CPUs and 0.5 GPU"
    assert room(Resources(cpu=4, nodes=2)) == "2 nodes with 4 CPUs each"
