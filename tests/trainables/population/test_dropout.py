"""What a model draws while it trains is what its trial draws alone, whoever else is there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from phitune.trainables.population.population import Population
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads.digits import MlpDigits
from tests.trainables.population.own import Dropout, OwnBatch, precise
from tests.trainables.population.twins import Twins

F = nn.functional


class Draws(nn.Module):
    def __init__(self, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        return self.draw(x) if self.training else x


class Drawing(MlpDigits):
    """Draws between a convolution and a linear layer, at [batch, 4, 8, 8]."""

    layer: Callable[[], nn.Module]

    def model(self) -> nn.Module:
        head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10))
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), type(self).layer(), head)


def in_place(x: Tensor) -> Tensor:
    F.dropout(x, 0.3, inplace=True)
    return x


def function(draw: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Draws(draw)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "module": lambda: nn.Dropout(0.3),
    "in place": lambda: nn.Dropout(0.3, inplace=True),
    "channels": lambda: nn.Dropout2d(0.3),
    "alpha": lambda: nn.AlphaDropout(0.3),
    "in place, the result not looked at": function(lambda x: in_place(x * 1)),
    "all": lambda: nn.Dropout(1.0),
    "none": lambda: nn.Dropout(0.0),
    "depth": lambda: StochasticDepth(0.5, "row"),
    "function": function(lambda x: F.dropout(x, 0.3)),
    "in another order of memory": function(lambda x: F.dropout(x.transpose(1, 3), 0.3).transpose(1, 3)),
    "one after another": lambda: nn.Sequential(nn.Dropout(0.2), nn.ReLU(), nn.Dropout2d(0.2), nn.Dropout(0.1)),
    "noise": function(lambda x: x + torch.randn_like(x)),
    "noise of a size": function(lambda x: x * torch.rand(x.shape[1:], dtype=x.dtype)),
    # What a GPU's dropout is inside.
    "with what was let through": function(lambda x: torch.native_dropout(x, 0.3, True)[0]),
    "attention": function(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3)),
}


def drawing(name: str, **recipe: float) -> Drawing:
    kind = type(name, (Drawing,), {"layer": staticmethod(LAYERS[name])})
    built = precise(kind, batch_size=16, **recipe)
    assert isinstance(built, Drawing)
    return built


@pytest.mark.parametrize("name", LAYERS)
def test_rows_draw_what_they_draw_alone(name: str) -> None:
    twins = Twins(drawing(name), "sgd")
    for seed in range(3):
        twins.enter(seed)
    twins.train(3, 0.1)
    twins.check()


def test_parts_of_a_batch_draw_one_after_another() -> None:
    twins = Twins(drawing("module", accumulate=2), "sgd")
    twins.enter(5)
    twins.train(3, 0.1)
    twins.check()


def test_draws_do_not_depend_on_who_else_is_there_and_leave_the_process_alone() -> None:
    before = torch.get_rng_state()
    losses = []
    for others in (0, 3):
        population = Population(precise(Dropout, batch_size=8), Spec("sgd"), 4)
        crowd = [population.enter(10 + seed) for seed in range(others)]
        member = population.enter(1)
        requests = {each: Step(0.0, None) for each in [*crowd, member]}
        losses.append([float(population.step(requests)[-1]) for _ in range(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    # Batches and dropout differ from step to step.
    assert len(set(losses[0])) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_drawing_costs_nothing_where_nothing_is_drawn() -> None:
    """Noise in batches alone leaves them to `batches`."""
    for kind, draws in ((OwnBatch, False), (Dropout, True)):
        twins = Twins(precise(kind, batch_size=8), "sgd")
        twins.enter(0)
        twins.train(1, 0.1)
        assert twins.population.stack.stochastic == draws
