"""Where memory is short, fewer rows pass at once, with the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.population.own import precise
from tests.trainables.population.twins import Twins
from trainables.models.cnn import cnn
from trainables.population.population import Population
from trainables.spec import Spec
from trainables.training import Step
from trainables.workloads.digits import MlpDigits
from trainables.workloads.torch_workload import Batch


class _Room(nn.Module):
    """Passes on what there is memory for. It comes after batch normalisation, whose buffers have been written then."""

    most = 2

    def forward(self, inputs: Tensor) -> Tensor:
        # Under vmap a tensor hides how many there are of it.
        whole = torch._C._functorch.get_unwrapped(inputs) if torch._C._functorch.is_batchedtensor(inputs) else inputs
        if whole.ndim > inputs.ndim and max(1, whole.numel() // inputs.numel()) > self.most:
            raise torch.OutOfMemoryError("no memory for so many")
        return inputs


class Cramped(MlpDigits):
    rows: list[int]

    def model(self) -> nn.Module:
        return nn.Sequential(cnn((4,), 10), _Room())

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        self.rows.append(len(seeds))
        return super().batches(seeds, steps, device)


@pytest.fixture
def room() -> Iterator[type[_Room]]:
    yield _Room
    _Room.most = 2


@pytest.fixture
def cramped(room: type[_Room]) -> Cramped:
    built = precise(Cramped, batch_size=16)
    assert isinstance(built, Cramped)
    built.rows = []
    return built


@pytest.mark.parametrize(("count", "widths"), [(2, [2]), (5, [5, 3, 2, 1, 2]), (4, [4, 2, 2])])
def test_steps_go_on_in_halves(cramped: Cramped, count: int, widths: list[int]) -> None:
    twins = Twins(cramped, "adam", capacity=5)
    for seed in range(count):
        twins.enter(seed)
    twins.train(1, 0.01)
    assert cramped.rows == widths
    twins.train(2, 0.01)
    # What was learnt stays.
    assert max(cramped.rows[len(widths) :]) <= 2
    twins.check()


def test_evaluations_go_on_in_halves(cramped: Cramped, room: type[_Room]) -> None:
    twins = Twins(cramped, "sgd", capacity=7)
    room.most = 7
    for seed in range(7):
        twins.enter(seed)
    twins.train(3, 0.1)
    whole = twins.population.evaluate(list(twins.members.values()), "val", True)
    room.most = 2
    parts = twins.population.evaluate(list(twins.members.values()), "val", True)
    assert [part.loss for part in parts] == pytest.approx([each.loss for each in whole], rel=1e-12)
    assert twins.population.stack.width == 2
    twins.train(1, 0.1)
    twins.check()


def test_no_memory_for_one_is_told_and_changes_nothing(cramped: Cramped, room: type[_Room]) -> None:
    population = Population(cramped, Spec("sgd"), 3)
    members = [population.enter(seed) for seed in range(3)]
    before = [member.state_dict() for member in members]
    room.most = 0
    told = population.step({member: Step(0.1, None) for member in members})
    told += population.evaluate(members, "val", False)
    assert [type(each) for each in told] == 6 * [torch.OutOfMemoryError]
    with pytest.raises(torch.OutOfMemoryError):
        members[0].step(0.1)
    room.most = 2
    for member, state in zip(members, before, strict=True):
        after = member.state_dict()
        assert after["steps"] == 0
        assert all(torch.equal(after["model"][key], state["model"][key]) for key in state["model"])
