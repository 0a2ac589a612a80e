"""Optimizers against torch's and schedulefree's own, step by step; their options; bad input."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from schedulefree import AdamWScheduleFree, SGDScheduleFree
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.base import schedule_free
from phitune.trainables.workloads.learning.optimizers import build_optimizer, check_optimizer, set_lr

LRS = (0.1, 0.05, 0.2, 0.01, 0.0, 0.03)
Parameters = Iterable[nn.Parameter]

TWINS: dict[str, Callable[[Parameters], Optimizer]] = {
    "sgd": lambda p: SGD(p, 0.1, momentum=0.9, weight_decay=0.03),
    "sgd(momentum=0)": lambda p: SGD(p, 0.1, weight_decay=0.03),
    "sgd(momentum=0.5,nesterov=true)": lambda p: SGD(p, 0.1, momentum=0.5, nesterov=True, weight_decay=0.03),
    "sgd(nesterov=true,weight_decay=0.2)": lambda p: SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.2),
    "adam": lambda p: Adam(p, 0.1, weight_decay=0.03),
    "adam(beta1=0.5,beta2=0.9,eps=1e-4)": lambda p: Adam(p, 0.1, betas=(0.5, 0.9), eps=1e-4, weight_decay=0.03),
    "adamw": lambda p: AdamW(p, 0.1, weight_decay=0.03),
    "adamw(weight_decay=0)": lambda p: AdamW(p, 0.1, weight_decay=0.0),
    "amsgrad": lambda p: Adam(p, 0.1, amsgrad=True, weight_decay=0.03),
    "amsgrad(beta2=0.5)": lambda p: Adam(p, 0.1, betas=(0.9, 0.5), amsgrad=True, weight_decay=0.03),
    "schedulefree-sgd": lambda p: SGDScheduleFree(p, 0.1, weight_decay=0.03),
    "schedulefree-sgd(momentum=0.5)": lambda p: SGDScheduleFree(p, 0.1, momentum=0.5, weight_decay=0.03),
    "schedulefree-adamw": lambda p: AdamWScheduleFree(p, 0.1, weight_decay=0.03),
    "schedulefree-adamw(beta1=0.8)": lambda p: AdamWScheduleFree(p, 0.1, betas=(0.8, 0.999), weight_decay=0.03),
}


def problem() -> tuple[nn.Linear, Callable[[nn.Linear, int], None]]:
    """A linear layer and the gradient of a least-squares problem whose data change with the step."""
    torch.manual_seed(0)
    layer = nn.Linear(5, 3)
    inputs, targets = torch.randn(len(LRS), 8, 5), torch.randn(len(LRS), 8, 3)

    def gradient(of: nn.Linear, step: int) -> None:
        of.zero_grad()
        nn.functional.mse_loss(of(inputs[step]), targets[step]).backward()

    return layer, gradient


@pytest.mark.parametrize("label", TWINS)
def test_takes_the_steps_of_the_one_it_is_named_after(label: str) -> None:
    ours, gradient = problem()
    plain, _ = problem()
    mine = build_optimizer(Spec.parse(label), ours.parameters(), [], weight_decay=0.03)
    twin = TWINS[label](plain.parameters())
    for each in (mine, twin):
        if schedule_free(Spec.parse(label)):
            each.train()  # type: ignore[attr-defined]
    for step, lr in enumerate(LRS):
        set_lr(mine, lr)
        twin.param_groups[0]["lr"] = lr
        for layer, each in ((ours, mine), (plain, twin)):
            gradient(layer, step)
            each.step()
        torch.testing.assert_close(ours.weight, plain.weight, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.bias, plain.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["schedulefree-sgd", "schedulefree-adamw"])
def test_schedule_free_learner_is_judged_on_the_package_s_own_average(name: str) -> None:
    """The package used as its README says, on the learner's batches, against the learner."""
    built = workload(Spec("logreg/wine"))
    learner = built.learner(Spec(name), 5, 8)
    model = built.model()  # type: ignore[attr-defined]
    kind = SGDScheduleFree if name == "schedulefree-sgd" else AdamWScheduleFree
    groups = [{"params": [model.weight], "weight_decay": 1e-3}, {"params": [model.bias], "weight_decay": 0.0}]
    plain = kind(groups, lr=0.1)
    for step in range(8):
        learner.step(0.1)
        plain.train()
        inputs, targets = built.batch(5, step, "cpu")  # type: ignore[attr-defined]
        plain.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        plain.step()
        plain.eval()
        data = built.split("val", "cpu")  # type: ignore[attr-defined]
        with torch.no_grad():
            expected = float(nn.functional.cross_entropy(model(data.inputs), data.targets))
        for averaged in (False, True):
            assert learner.evaluate("val", averaged).loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("label", "read"), [("sgd", lambda g: g["momentum"]), ("adamw", lambda g: g["betas"][0])], ids=["sgd", "adamw"]
)
def test_momentum_is_set_where_a_schedule_cycles_it(label: str, read: Callable[[dict[str, Any]], float]) -> None:
    layer, _ = problem()
    optimizer = build_optimizer(Spec(label), [layer.weight], [layer.bias], 0.0)
    set_lr(optimizer, 0.2)
    assert [(group["lr"], read(group)) for group in optimizer.param_groups] == [(0.2, 0.9)] * 2
    set_lr(optimizer, 0.3, momentum=0.8)
    assert [(group["lr"], read(group)) for group in optimizer.param_groups] == [(0.3, 0.8)] * 2


def test_sgd_without_momentum_stays_plain_under_a_schedule_that_cycles_it() -> None:
    layer, _ = problem()
    optimizer = build_optimizer(Spec.parse("sgd(momentum=0)"), [layer.weight], [layer.bias], 0.0)
    set_lr(optimizer, 0.3, momentum=0.8)
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0]


@pytest.mark.parametrize("label", ["sgd", "adam", "adamw", "amsgrad", "schedulefree-sgd", "schedulefree-adamw"])
def test_decay_is_for_the_decayed_alone_and_an_optimizer_s_own_wins(label: str) -> None:
    layer, _ = problem()
    optimizer = build_optimizer(Spec(label), [layer.weight], [layer.bias], 0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    optimizer = build_optimizer(Spec(label, (("weight_decay", 0.3),)), [layer.weight], [layer.bias], 0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    assert len(build_optimizer(Spec(label), layer.parameters(), [], 0.1).param_groups) == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("sdg", "unknown optimizer 'sdg'; did you mean 'sgd'"),
        ("lion", "unknown optimizer 'lion'; optimizers: sgd"),
        ("sgd(beta1=0.9)", r"optimizers\.sgd\.beta1: unknown option; sgd takes: momentum, nesterov, weight_decay"),
        ("adam(momentum=0.9)", r"adam\.momentum: unknown option; adam takes: beta1, beta2, eps, weight_decay"),
        ("sgd(momentum=1)", r"sgd\.momentum: 1 is not allowed; it must be a number in \[0, 1\)"),
        ("sgd(momentum=high)", r"sgd\.momentum: 'high' is not allowed"),
        ("sgd(momentum=.nan)", r"sgd\.momentum: nan is not allowed"),
        ("sgd(nesterov=1)", r"sgd\.nesterov: 1 is not allowed; it must be true or false"),
        ("sgd(momentum=0,nesterov=true)", r"sgd\.momentum: 0 is not allowed; .* needs one above 0"),
        ("adamw(beta2=-0.1)", r"adamw\.beta2: -0\.1 is not allowed"),
        ("adamw(eps=-1e-8)", r"adamw\.eps: -1e-08 is not allowed; it must be a number of at least 0"),
        ("adamw(weight_decay=.inf)", r"adamw\.weight_decay: inf is not allowed"),
        ("schedulefree-sgd(momentum=0)", r"schedulefree-sgd\.momentum: 0 is not allowed"),
        ("schedulefree-adamw(beta1=0)", r"schedulefree-adamw\.beta1: 0 is not allowed"),
    ],
)
def test_bad_optimizers_are_refused(label: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_optimizer(Spec.parse(label))
