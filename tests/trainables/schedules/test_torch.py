"""Schedules against torch's own schedulers, step by step, and as torch schedulers themselves."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Adagrad, Adam, Optimizer
from torch.optim import lr_scheduler as theirs

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, schedule

T = 60
ONECYCLE = {"peak": 0.3, "initial": 0.04, "final": 1e-3}


def sgd(*lrs: float, momentum: float = 0.9) -> SGD:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs], momentum=momentum)


def onecycle(optimizer: Optimizer, peak: float, initial: float, final: float, **more: Any) -> theirs.LRScheduler:
    return theirs.OneCycleLR(
        optimizer,
        max_lr=0.3,
        total_steps=T + 1,
        pct_start=(peak * T + 1) / (T + 1),
        div_factor=1 / initial,
        final_div_factor=initial / final,
        **more,
    )


@pytest.mark.parametrize(
    ("instance", "torchs"),
    [
        (schedule("cosine"), lambda o: theirs.CosineAnnealingLR(o, T)),
        (schedule("cosine", floor=0.1), lambda o: theirs.CosineAnnealingLR(o, T, eta_min=0.03)),
        (schedule("linear"), lambda o: theirs.LinearLR(o, 1.0, 0.0, total_iters=T)),
        (schedule("linear", floor=0.1), lambda o: theirs.LinearLR(o, 1.0, 0.1, total_iters=T)),
        (schedule("exponential"), lambda o: theirs.ExponentialLR(o, math.exp(-3.0 / T))),
        (schedule("step"), lambda o: theirs.MultiStepLR(o, [T // 2, 3 * T // 4], gamma=0.1)),
        (schedule("multistep", factor=0.3), lambda o: theirs.MultiStepLR(o, [18, 36, 54], gamma=0.3)),
        (schedule("polynomial", power=2.5), lambda o: theirs.PolynomialLR(o, T, power=2.5)),
        (schedule("sgdr"), lambda o: theirs.CosineAnnealingWarmRestarts(o, T_0=T // 3)),
        (schedule("constant"), lambda o: theirs.ConstantLR(o, factor=1.0)),
        (schedule("onecycle", **ONECYCLE), lambda o: onecycle(o, **ONECYCLE, anneal_strategy="linear")),
        (schedule("onecycle", **ONECYCLE, anneal="cosine"), lambda o: onecycle(o, **ONECYCLE, anneal_strategy="cos")),
    ],
    ids=lambda value: str(value) if isinstance(value, Schedule) else "torch",
)
def test_equals_torchs_own_step_by_step(instance: Schedule, torchs: Callable[[Optimizer], theirs.LRScheduler]) -> None:
    for kind in (lambda: sgd(0.3), lambda: Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.3)):
        ours, other = kind(), kind()
        schedulers = (instance.lr_scheduler(ours, T), torchs(other))
        for step in range(T):
            here, there = ours.param_groups[0], other.param_groups[0]
            assert here["lr"] == pytest.approx(there["lr"], rel=1e-9, abs=1e-15), step
            for key in {"momentum", "betas"} & here.keys():
                assert here[key] == pytest.approx(there[key], rel=1e-12), step
            for optimizer, scheduler in zip((ours, other), schedulers, strict=True):
                optimizer.step()
                scheduler.step()


@settings(max_examples=60, deadline=None)
@given(
    losses=st.lists(st.sampled_from([0.5, 0.9, 0.99, 0.9999, 1.0, 1.5, math.nan]), min_size=20, max_size=20),
    patience=st.integers(0, 4),
    threshold=st.sampled_from([0.0, 1e-4, 0.05]),
    floor=st.sampled_from([0.0, 0.02, 0.3]),
)
@example(losses=[0.99**check for check in range(20)], patience=2, threshold=0.05, floor=0.0)
def test_plateau_is_torchs_reduce_on_plateau(
    losses: list[float], patience: int, threshold: float, floor: float
) -> None:
    instance = schedule("plateau", factor=0.3, patience=patience, threshold=threshold, floor=floor)
    optimizer = sgd(0.5)
    scheduler = theirs.ReduceLROnPlateau(optimizer, "min", 0.3, patience, threshold, min_lr=0.5 * floor, eps=0.0)
    checks = instance.check_steps(T).tolist()
    assert checks == list(range(3, T + 1, 3))
    observed: list[float] = []
    for step in range(T):
        if step in checks:
            observed.append(losses[len(observed)])
            scheduler.step(observed[-1])
        assert 0.5 * float(instance.u(step, T, observed)) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    whole = instance.u(np.arange(T), T, observed)
    assert whole[-1] == instance.u(T - 1, T, observed)


def test_plateau_checks_fit_any_budget_and_follow_warmup() -> None:
    assert schedule("plateau", checks=4).check_steps(10).tolist() == [2, 5, 8, 10]
    assert schedule("plateau").check_steps(3).tolist() == [1, 2, 3]
    late = schedule("plateau", checks=2, patience=0, warmup=4)
    assert late.check_steps(10).tolist() == [7, 10]
    np.testing.assert_allclose(late.u(np.arange(12), 10, [1.0, 1.0]), [0.2, 0.4, 0.6, 0.8, *[1.0] * 6, 0.1, 0.1])
    with pytest.raises(InputError, match="observed: 3 losses are not allowed; there are 2 checks"):
        late.u(0, 10, [1.0, 1.0, 1.0])


def test_plateau_hands_over_only_what_torchs_can() -> None:
    for composed in ({"warmup": 0.1}, {"sampling": 0.1}):
        with pytest.raises(InputError, match=f"plateau.{next(iter(composed))}: torch's ReduceLROnPlateau has none"):
            schedule("plateau", **composed).lr_scheduler(sgd(0.1), 10)


@pytest.mark.parametrize("copied", [lambda pair: pickle.loads(pickle.dumps(pair)), copy.deepcopy])
def test_scheduler_pickles_with_its_optimizer(copied: Callable[[Any], Any]) -> None:
    optimizer = sgd(0.4, 0.1)
    scheduler = schedule("onecycle").lr_scheduler(optimizer, 30)
    for _ in range(7):
        optimizer.step()
        scheduler.step()
    again, resumed = copied((optimizer, scheduler))
    for _ in range(30):
        assert [g["lr"] for g in again.param_groups] == [g["lr"] for g in optimizer.param_groups]
        assert [g["momentum"] for g in again.param_groups] == [g["momentum"] for g in optimizer.param_groups]
        for o, s in ((optimizer, scheduler), (again, resumed)):
            o.step()
            s.step()


def test_state_alone_brings_lr_and_momentum_back() -> None:
    optimizer = sgd(0.4)
    scheduler = schedule("onecycle").lr_scheduler(optimizer, 30)
    for _ in range(11):
        optimizer.step()
        scheduler.step()
    other = sgd(0.7)
    schedule("onecycle").lr_scheduler(other, 30).load_state_dict(scheduler.state_dict())
    for key in ("lr", "momentum"):
        assert other.param_groups[0][key] == optimizer.param_groups[0][key]


def test_last_epoch_goes_on_as_in_torch() -> None:
    optimizer = sgd(0.4)
    optimizer.param_groups[0]["initial_lr"] = 0.4
    schedule("linear").lr_scheduler(optimizer, 10, last_epoch=4)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4 * 0.5)


def test_an_lr_in_a_tensor_stays_one() -> None:
    lr = torch.tensor(0.4)
    optimizer = Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = schedule("linear").lr_scheduler(optimizer, 10)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert float(lr) == pytest.approx(0.36)
    scheduler.load_state_dict({**scheduler.state_dict(), "last_epoch": 5})
    assert float(lr) == pytest.approx(0.2)


def test_momentum_is_left_alone_where_there_is_none_to_cycle() -> None:
    optimizer = Adagrad([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(InputError, match="onecycle: Adagrad has no momentum to cycle"):
        schedule("onecycle").lr_scheduler(optimizer, 10)
    schedule("onecycle", cycle_momentum=False).lr_scheduler(optimizer, 10)
    optimizer = sgd(0.1, momentum=0.7)
    schedule("onecycle", cycle_momentum=False).lr_scheduler(optimizer, 10)
    assert optimizer.param_groups[0]["momentum"] == 0.7
