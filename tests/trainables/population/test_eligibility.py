"""Why a workload's trials train one at a time."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from phitune.trainables.population.eligibility import alone_reason
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import Learner, workload
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.supervised import Data
from tests.trainables.population.own import Dropout, Frozen, OwnBatch, Tied, precise
from tests.trainables.population.twins import precise_workload

SGD = Spec("sgd")


class OwnLearner(MlpDigits):
    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return super().learner(optimizer, seed + 1, horizon, device)


class Head(nn.Module):
    """A linear layer; what comes before it is for a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.register_buffer("seen", torch.zeros(64))
        self.unused = nn.Parameter(torch.ones(3), requires_grad=False)

    def before(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.before(x.flatten(1)))
        return outputs


class Item(Head):
    def before(self, x: Tensor) -> Tensor:
        return x * x.mean().item()


class Branch(Head):
    def before(self, x: Tensor) -> Tensor:
        return x if self.head.weight.sum() > 0 else -x


class InEvaluation(Head):
    def before(self, x: Tensor) -> Tensor:
        return x if self.training else x * self.head.weight.max().item()


class Replaces(Head):
    """Writes a buffer not in place, as is lost."""

    def before(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = 0.9 * self.seen + 0.1 * x.detach().mean(0)
        return x - self.seen


class Permutes(Head):
    def before(self, x: Tensor) -> Tensor:
        return x[:, torch.randperm(64)] if self.training else x


class Idle(Head):
    def __init__(self) -> None:
        super().__init__()
        self.unused.requires_grad_(True)


REASONS: dict[type[Head], str] = {
    Item: "RuntimeError: vmap: .*item",
    Branch: "RuntimeError: vmap: .*data-dependent control flow",
    InEvaluation: "RuntimeError: vmap: .*item",
    Replaces: "its numbers would be others",
    Permutes: "NotImplementedError: aten.randperm.default cannot draw random numbers for many trials",
    Idle: "unused gets no gradient",
}


def over(network: type[nn.Module]) -> MlpDigits:
    class Own(MlpDigits):
        def model(self) -> nn.Module:
            return network()

    return Own()


@pytest.mark.parametrize("network", REASONS, ids=lambda kind: kind.__name__)
def test_reasons_seen_by_training_two_trials(network: type[Head]) -> None:
    reason = alone_reason(over(network), SGD, "cpu")
    assert reason and "\n" not in reason and len(reason) <= 200
    assert re.match(REASONS[network], reason), reason


def test_reasons_seen_without_training() -> None:
    assert alone_reason(workload(Spec("quadratic")), SGD, "cpu") == "Quadratic is not a TorchWorkload"
    assert alone_reason(OwnLearner(), SGD, "cpu") == "OwnLearner has a learner of its own"
    assert (
        alone_reason(MlpDigits(), Spec("schedulefree-sgd"), "cpu") == "schedulefree-sgd has no update for many at once"
    )
    assert (
        alone_reason(precise_workload("mlp/digits", compile=True), SGD, "cpu")
        == "its model is compiled (compile: true)"
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_none_where_there_is_none(optimizer: str, precision: str) -> None:
    built = [precise_workload(f"{name}/digits", precision=precision) for name in ("mlp", "cnn", "resnet8", "logreg")]
    built += [precise(kind, precision=precision) for kind in (Tied, Frozen, OwnBatch, Dropout)]
    assert [alone_reason(each, Spec(optimizer), "cpu") for each in [*built, over(Head)]] == [""] * (len(built) + 1)


def test_too_little_memory_is_no_reason() -> None:
    class Full(MlpDigits):
        def data(self) -> dict[Split, Data]:
            raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        alone_reason(Full(), SGD, "cpu")


def test_nothing_is_left_behind() -> None:
    """Neither torch's generators nor what the workload trains later."""
    before = torch.get_rng_state()
    built = precise(Dropout)
    first = built.learner(SGD, 0, 1).step(0.1)
    assert alone_reason(built, SGD, "cpu") == ""
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.as_tensor(built.learner(SGD, 0, 1).step(0.1)), torch.as_tensor(first))
