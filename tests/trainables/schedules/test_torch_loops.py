"""The torch scheduler under what training loops do to it: groups, resumed states, wrappers, compiled optimizers."""

import io
import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam, Optimizer
from torch.optim import lr_scheduler as theirs
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.schedules._torch import set_base_lr

T = 40


@pytest.fixture(autouse=True)
def only_expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(1))


def sgd(*lrs: float) -> SGD:
    return SGD([{"params": [parameter()], "lr": lr} for lr in lrs], lr=lrs[0], momentum=0.9)


def train(optimizer: Optimizer, scheduler: LRScheduler, steps: int) -> None:
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


def lrs(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("family", ["cosine", "onecycle"])
@pytest.mark.parametrize("added_at", [0, 1, 25, T - 1])
def test_an_added_group_follows_from_its_own_lr(family: str, added_at: int) -> None:
    instance = schedule(family, warmup=5)
    optimizer = sgd(0.4)
    scheduler = instance.lr_scheduler(optimizer, T)
    train(optimizer, scheduler, added_at)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.01})
    for step in range(added_at + 1, T + 1):
        train(optimizer, scheduler, 1)
        u = float(instance.u(step, T))
        assert lrs(optimizer) == pytest.approx([0.4 * u, 0.01 * u], rel=1e-12)
        assert scheduler.get_last_lr() == lrs(optimizer)
        momentum = instance.momentum(step, T)
        assert [g["momentum"] for g in optimizer.param_groups] == [0.9 if momentum is None else float(momentum)] * 2


def test_an_added_groups_initial_lr_is_its_base_lr() -> None:
    optimizer = sgd(0.4)
    scheduler = schedule("linear").lr_scheduler(optimizer, T)
    train(optimizer, scheduler, 30)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.01 * 0.25, "initial_lr": 0.01})
    train(optimizer, scheduler, 1)
    assert lrs(optimizer) == pytest.approx([0.4 * 9 / T, 0.01 * 9 / T])


@pytest.mark.parametrize("own", [None, 0.02])
def test_an_added_group_follows_where_the_lr_is_a_tensor(own: float | None) -> None:
    lr = torch.tensor(0.4)
    optimizer = Adam([parameter()], lr=lr)
    scheduler = schedule("linear").lr_scheduler(optimizer, T)
    train(optimizer, scheduler, 10)
    added = {} if own is None else {"lr": torch.tensor(own)}
    optimizer.add_param_group({"params": [parameter()], **added})
    train(optimizer, scheduler, 10)
    assert lrs(optimizer) == pytest.approx([0.2, 0.2 if own is None else 0.01])
    assert optimizer.param_groups[0]["lr"] is lr


def test_a_state_with_an_added_group_resumes_exactly() -> None:
    optimizer = sgd(0.4)
    scheduler = schedule("cosine").lr_scheduler(optimizer, T)
    train(optimizer, scheduler, 10)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.01})
    saved = through_a_file(scheduler.state_dict())  # before any step with the new group
    other = sgd(0.7, 0.7)
    resumed = schedule("cosine").lr_scheduler(other, T)
    resumed.load_state_dict(saved)
    train(optimizer, scheduler, 5)
    train(other, resumed, 5)
    assert lrs(other) == lrs(optimizer)


def test_a_state_of_other_groups_is_refused() -> None:
    saved = schedule("cosine").lr_scheduler(sgd(0.4, 0.1), T).state_dict()
    optimizer = sgd(0.4)
    with pytest.raises(InputError, match="parameter groups: the state is of 2, the optimizer has 1"):
        schedule("cosine").lr_scheduler(optimizer, T).load_state_dict(saved)
    assert lrs(optimizer) == [0.4]


def test_a_state_of_another_horizon_is_refused_unless_extended() -> None:
    optimizer = sgd(0.4)
    scheduler = schedule("linear").lr_scheduler(optimizer, T)
    train(optimizer, scheduler, 30)
    saved = through_a_file(scheduler.state_dict())
    other = sgd(0.4)
    longer = schedule("linear").lr_scheduler(other, 2 * T)
    with pytest.raises(InputError, match=r"from a schedule of 40 steps, this one has 80.*extend=True.*step 30 of 80"):
        longer.load_state_dict(saved)
    assert (longer.last_epoch, lrs(other)) == (0, [0.4])
    longer.load_state_dict(saved, extend=True)
    assert lrs(other) == longer.get_last_lr() == pytest.approx([0.4 * 50 / 80])
    train(other, longer, 1)
    assert lrs(other) == pytest.approx([0.4 * 49 / 80])
    again = sgd(0.4)
    allowed = schedule("linear").lr_scheduler(again, 2 * T, extend=True)
    allowed.load_state_dict(saved)
    train(again, allowed, 1)
    assert lrs(again) == lrs(other)
    assert allowed.state_dict() == longer.state_dict()


@pytest.mark.parametrize("parts", [2, 4])
def test_steps_beyond_the_horizon_warn_once(parts: int) -> None:
    """A loop that steps the schedule after each part of an accumulated batch, or in each of several processes."""
    optimizer = sgd(0.4)
    scheduler = schedule("cosine").lr_scheduler(optimizer, T)
    with pytest.warns(UserWarning) as caught:
        for _ in range(T):
            optimizer.step()
            for _ in range(parts):
                scheduler.step()
    assert len(caught) == 1
    assert str(caught[0].message).startswith(f"step {T + 1} of a schedule of {T}: ")
    assert "once after each optimizer.step()" in str(caught[0].message)


def test_a_whole_run_warns_of_nothing() -> None:
    optimizer = sgd(0.4)
    train(optimizer, schedule("cosine").lr_scheduler(optimizer, T), T)
    assert lrs(optimizer) == [0.0]


WARMUP = 10
REST = T - WARMUP
ONECYCLE, COSINE, UBA = schedule("onecycle"), schedule("cosine", floor=0.1), schedule("uba", phi=5.0, warmup=3)
Parts = Callable[[Optimizer], list[LRScheduler]]
# What makes the schedulers, the milestone, and what the LR is a multiple of by the step after each one's start.
SEQUENCES: dict[str, tuple[Parts, int, tuple[Callable[[int], float], Callable[[int], float]]]] = {
    "after torch's warmup": (
        lambda o: [theirs.LinearLR(o, 0.1, 1.0, WARMUP), ONECYCLE.lr_scheduler(o, REST)],
        WARMUP,
        (lambda t: 0.1 + 0.9 * t / WARMUP, lambda t: float(ONECYCLE.u(t, REST))),
    ),
    "after torch's constant LR": (
        lambda o: [theirs.ConstantLR(o, 0.5, 100), UBA.lr_scheduler(o, REST)],
        WARMUP,
        (lambda t: 0.5, lambda t: float(UBA.u(t, REST))),
    ),
    "two of ours": (
        lambda o: [ONECYCLE.lr_scheduler(o, T // 2), COSINE.lr_scheduler(o, T // 2)],
        T // 2,
        (lambda t: float(ONECYCLE.u(t, T // 2)), lambda t: float(COSINE.u(t, T // 2))),
    ),
    "before torch's": (
        lambda o: [COSINE.lr_scheduler(o, T // 2), theirs.LambdaLR(o, lambda e: 0.9**e)],
        T // 2,
        (lambda t: float(COSINE.u(t, T // 2)), lambda t: 0.9**t),
    ),
}


@pytest.mark.parametrize("name", list(SEQUENCES))
def test_sequential_lr_hands_over_at_the_milestone(name: str) -> None:
    make, milestone, factors = SEQUENCES[name]
    optimizer = sgd(0.4, 0.01)
    scheduler = SequentialLR(optimizer, make(optimizer), [milestone])
    for step in range(T):
        factor = factors[0](step) if step < milestone else factors[1](step - milestone)
        assert lrs(optimizer) == pytest.approx([0.4 * factor, 0.01 * factor], rel=1e-12), step
        train(optimizer, scheduler, 1)


def test_sequential_lr_hands_over_the_momentum_at_the_milestone() -> None:
    make, milestone, _ = SEQUENCES["after torch's warmup"]
    optimizer = sgd(0.4)
    scheduler = SequentialLR(optimizer, make(optimizer), [milestone])
    for step in range(T):
        momentum = ONECYCLE.momentum(max(step - milestone, 0), REST)
        assert optimizer.param_groups[0]["momentum"] == momentum, step
        train(optimizer, scheduler, 1)


@pytest.mark.parametrize("name", list(SEQUENCES))
@pytest.mark.parametrize("first", ["optimizer", "scheduler"])
@pytest.mark.parametrize("saved_at", [0, 4, WARMUP - 1, WARMUP, WARMUP + 1, T // 2 - 1, T // 2, T // 2 + 1, T - 2])
def test_a_sequential_lr_resumes_exactly(name: str, first: str, saved_at: int) -> None:
    make, milestone, _ = SEQUENCES[name]

    def started() -> dict[str, Any]:
        optimizer = sgd(0.4, 0.01)
        return {"optimizer": optimizer, "scheduler": SequentialLR(optimizer, make(optimizer), [milestone])}

    whole = started()
    train(**whole, steps=saved_at)
    saved = through_a_file({key: part.state_dict() for key, part in whole.items()})
    resumed = started()
    for key in sorted(resumed, key=lambda key: key != first):
        resumed[key].load_state_dict(saved[key])
    for step in range(saved_at, T):
        for key in ("lr", "momentum"):
            here, there = ([g[key] for g in run["optimizer"].param_groups] for run in (resumed, whole))
            assert here == there, (step, key)
        train(**whole, steps=1)
        train(**resumed, steps=1)


def test_torchs_sequence_refuses_plateau() -> None:
    optimizer = sgd(0.4)
    parts = [theirs.LinearLR(optimizer), schedule("plateau").lr_scheduler(optimizer, T)]
    with pytest.raises(ValueError, match="does not support `ReduceLROnPlateau`"):
        SequentialLR(optimizer, parts, [5])


def test_plateau_takes_groups_added_later() -> None:
    optimizer = sgd(0.4)
    scheduler: Any = schedule("plateau", patience=0, factor=0.5).lr_scheduler(optimizer, T)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.01})
    for loss in (1.0, 1.0):
        scheduler.step(loss)
    assert lrs(optimizer) == pytest.approx([0.2, 0.005])


def test_alone_or_among_schedulers_that_leave_the_lr_it_is_itself_in_a_chain() -> None:
    optimizer = sgd(0.4)
    chain = ChainedScheduler([schedule("cosine").lr_scheduler(optimizer, T), theirs.ConstantLR(optimizer, 1.0)])
    for step in range(T):
        assert lrs(optimizer) == pytest.approx([0.4 * float(schedule("cosine").u(step, T))])
        train(optimizer, chain, 1)


@pytest.mark.parametrize("ours_first", [True, False])
def test_in_a_chain_it_overwrites_the_others_and_says_so_once(ours_first: bool) -> None:
    optimizer = sgd(0.4)
    makers: list[Callable[[], LRScheduler]] = [
        lambda: schedule("linear").lr_scheduler(optimizer, T),
        lambda: theirs.ExponentialLR(optimizer, 0.5),
    ]
    chain = ChainedScheduler([make() for make in (makers if ours_first else makers[::-1])])
    with pytest.warns(UserWarning, match=r"such as another scheduler of a ChainedScheduler, is overwritten") as caught:
        train(optimizer, chain, 10)
    assert len(caught) == 1
    assert lrs(optimizer) == pytest.approx([0.4 * 0.75 * (0.5 if ours_first else 1.0)])


class Counted:
    """torch.compile's backend "eager", counting the graphs it is given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


@pytest.mark.parametrize("tensor", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize(
    ("make", "family"),
    [
        (lambda parameters, lr: SGD(parameters, lr, momentum=0.9), "cosine"),
        (lambda parameters, lr: SGD(parameters, lr, momentum=0.9), "onecycle"),
        (lambda parameters, lr: Adam(parameters, lr), "cosine"),
        (lambda parameters, lr: Adam(parameters, lr), "onecycle"),
    ],
    ids=["sgd", "sgd-momentum", "adam", "adam-momentum"],
)
def test_a_compiled_optimizer_follows_without_a_graph_a_step(
    make: Callable[[Any, Any], Optimizer], family: str, tensor: bool
) -> None:
    trained = []
    backend = Counted()
    for compiled in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        model, inputs = torch.nn.Linear(4, 1), torch.randn(8, 4)
        optimizer = make(model.parameters(), torch.tensor(0.05) if tensor else 0.05)
        scheduler = schedule(family).lr_scheduler(optimizer, T)
        step = torch.compile(optimizer.step, backend=backend) if compiled else optimizer.step
        for _ in range(T):
            optimizer.zero_grad()
            model(inputs).square().mean().backward()
            step()
            scheduler.step()
        trained.append(model.weight.detach())
        assert lrs(optimizer) == pytest.approx([0.05 * float(schedule(family).u(T, T))], abs=1e-9)
    torch.testing.assert_close(*trained, rtol=1e-4, atol=1e-5)
    assert 1 <= backend.graphs <= 3


def test_groups_keep_their_ratios() -> None:
    optimizer = sgd(0.4, 0.01, 1e-5)
    scheduler = schedule("uba", phi=0.5, warmup=0.1, floor=0.05, sampling=0.1).lr_scheduler(optimizer, T)
    for _ in range(T):
        for (one, base), (other, other_base) in itertools.pairwise(zip(lrs(optimizer), (0.4, 0.01, 1e-5), strict=True)):
            assert one / other == pytest.approx(base / other_base)
        train(optimizer, scheduler, 1)


@pytest.mark.parametrize("base_lr", [0.1, 0.03, 0.7, 1e-3])
def test_a_base_lr_set_again_is_the_same_to_the_last_bit(base_lr: float) -> None:
    optimizer = sgd(0.3, 0.07)
    set_base_lr(optimizer, base_lr)
    assert lrs(optimizer) == pytest.approx([base_lr, base_lr * 7 / 30])
    before = lrs(optimizer)
    train(optimizer, schedule("linear").lr_scheduler(optimizer, T), 10)
    set_base_lr(optimizer, base_lr)
    assert lrs(optimizer) == before
