"""Where memory is short, fewer rows pass at once, with the same numbers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phitune.trainables.models.cnn import cnn
from phitune.trainables.population.population import Population
from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.population.rows.updates import Adam
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch
from tests.trainables.population.own import precise
from tests.trainables.population.twins import Twins


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


def test_no_memory_for_one_is_reported_and_changes_nothing(cramped: Cramped, room: type[_Room]) -> None:
    population = Population(cramped, Spec("sgd"), 3)
    members = [population.enter(seed) for seed in range(3)]
    before = [member.state_dict() for member in members]
    room.most = 0
    outcomes = population.step({member: Step(0.1, None) for member in members})
    outcomes += population.evaluate(members, "val", False)
    assert [type(each) for each in outcomes] == 6 * [torch.OutOfMemoryError]
    with pytest.raises(torch.OutOfMemoryError):
        members[0].step(0.1)
    room.most = 2
    for member, state in zip(members, before, strict=True):
        after = member.state_dict()
        assert after["steps"] == 0
        assert all(torch.equal(after["model"][key], state["model"][key]) for key in state["model"])


@pytest.mark.parametrize(
    ("error", "halved"),
    [
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_libraries_that_get_no_memory_are_made_do_with_too(
    monkeypatch: pytest.MonkeyPatch, error: Exception, halved: bool
) -> None:
    twins, gradients = Twins(precise(MlpDigits), "sgd"), Stack._gradients
    for seed in range(4):
        twins.enter(seed)

    def short(stack: Stack, part: slice, seeds: Sequence[int]) -> Any:
        if len(seeds) > 2:
            raise error
        return gradients(stack, part, seeds)

    monkeypatch.setattr(Stack, "_gradients", short)
    twins.train(2, 0.01)
    assert twins.population.stack.width == (2 if halved else 4)
    twins.check()


@pytest.mark.parametrize("written", [False, True])
def test_an_update_without_memory_goes_on_in_halves_unless_it_has_begun_to_write(
    monkeypatch: pytest.MonkeyPatch, cramped: Cramped, room: type[_Room], written: bool
) -> None:
    room.most = 4
    twins, apply = Twins(cramped, "adam"), Adam.apply
    for seed in range(4):
        twins.enter(seed)

    def short(
        update: Adam, weights: Tensor, gradient: Tensor, state: dict[str, Tensor], *args: Any, **named: Any
    ) -> None:
        if len(weights) > 2:
            gradient.mul_(2)
            if written:
                state["exp_avg"].mul_(0.5)
            raise torch.OutOfMemoryError("no memory for the update of so many")
        apply(update, weights, gradient, state, *args, **named)

    monkeypatch.setattr(Adam, "apply", short)
    if written:
        requests = {member: Step(0.01, None) for member in twins.members.values()}
        assert [type(outcome) for outcome in twins.population.step(requests)] == 4 * [torch.OutOfMemoryError]
    else:
        twins.train(2, 0.01)
        twins.check()
    assert twins.population.stack.width == 2


class _Full(nn.Module):
    """Runs out of memory with an activation at hand."""

    seen: list[weakref.ref[Tensor]]

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(inputs.flatten(1))
        self.seen.append(weakref.ref(torch._C._functorch.get_unwrapped(outputs)))
        raise torch.OutOfMemoryError("no memory for one")


class Full(MlpDigits):
    def model(self) -> nn.Module:
        return _Full()


def test_errors_that_are_kept_hold_no_activations() -> None:
    _Full.seen = []
    population = Population(Full(), Spec("sgd"), 4)
    gc.collect()
    gc.disable()
    try:
        outcomes = population.step({population.enter(seed): Step(0.1, None) for seed in range(4)})
        assert [type(each) for each in outcomes] == 4 * [torch.OutOfMemoryError]
        assert len(_Full.seen) == 7
        assert not any(seen() is not None for seen in _Full.seen)
    finally:
        gc.enable()
