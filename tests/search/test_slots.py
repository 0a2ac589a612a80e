"""Room for trials: counted node by node, and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from search.sections import Resources
from search.slots import Slots, places

SMALL, LARGE = {"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}


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


def test_slots_follow_the_nodes_and_room_is_summed_over_time() -> None:
    nodes: Sequence[Mapping[str, float]] = [SMALL]
    now = 0.0
    slots = Slots(Resources(), lambda: nodes, lambda: now)
    assert slots.now == 2
    nodes = [SMALL, LARGE]
    now = 0.5
    assert slots.look() == 2, "asked once a second"
    now = 2.0
    assert slots.look() == 10
    now = 3.0
    nodes = []
    assert slots.look() == 1, "the search waits with one trial for the next node"
    now = 4.0
    assert slots.seconds == pytest.approx(2 * 2 + 10 * 1 + 1 * 1)
