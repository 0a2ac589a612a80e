"""The training loop: pure in its seed, resumable bit for bit, stopped when it diverges."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.data.tables import TABLES, table
from phitune.trainables.workloads.digits import MlpDigits


class Dropping(nn.Module):
    """Dropout as a function, which no look at the modules would find."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        dropped = nn.functional.dropout(inputs.flatten(1), 0.5, self.training)
        outputs: torch.Tensor = self.head(dropped)
        return outputs


class DroppingDigits(MlpDigits):
    def model(self) -> nn.Module:
        return Dropping()

    def batch(self, seed: int, step: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        return super().batch(0, 0, device)


def start(
    name: str, horizon: int = 40, base_lr: float = 0.1, seed: int = 3, optimizer: str = "sgd", family: str = "uba"
) -> Training:
    parameters = {"phi": 1.0} if family == "uba" else {}
    config = TrialConfig(optimizer, horizon, schedule(family, **parameters), base_lr, seed)
    return Training(workload(Spec.parse(name)), config)


@pytest.mark.parametrize("family", ["uba", "plateau", "onecycle"])
@pytest.mark.parametrize("name", ["mlp/digits", "quadratic(momentum=0.5)"])
@pytest.mark.parametrize("at", [1, 17])
def test_resuming_goes_on_with_lr_momentum_and_what_was_observed(name: str, family: str, at: int) -> None:
    fresh, broken, resumed = (start(name, family=family) for _ in range(3))
    fresh.advance(at)
    broken.advance(at)
    resumed.load_state_dict(broken.state_dict())
    broken.advance(40)
    fresh.advance(40)
    resumed.advance(40)
    assert resumed.curve == fresh.curve == broken.curve


def test_stopping_early_leaves_the_schedule_alone() -> None:
    stopped, whole = start("mlp/digits"), start("mlp/digits")
    stopped.advance(10)
    whole.advance(40)
    assert stopped.config.horizon == 40
    assert stopped.curve[-1]["lr"] == pytest.approx(0.1 * float(schedule("uba", phi=1.0).u(9, 40)))
    assert whole.curve[-1]["lr"] == pytest.approx(0.1 * float(schedule("uba", phi=1.0).u(39, 40)))


def test_dropout_is_drawn_from_seed_and_step_and_from_nothing_else() -> None:
    """One batch for ever, a learning rate of zero, equal weights: only dropout tells the losses apart."""

    def losses(seed: int) -> list[float]:
        learner = DroppingDigits().learner(Spec("sgd"), seed, 3)
        weights = DroppingDigits().learner(Spec("sgd"), 0, 3).state_dict()["model"]
        learner.load_state_dict({**learner.state_dict(), "model": weights})
        return [float(learner.step(0.0)) for _ in range(3)]

    before = torch.get_rng_state()
    first = losses(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert losses(1) == first
    assert len({*first, *losses(2)}) == 6


def test_norm_of_the_gradient_is_that_before_clipping() -> None:
    free, clipped = (workload(Spec.of({"name": "mlp/digits", "clip_norm": clip})) for clip in (0, 1e-3))
    norms = []
    for built in (free, clipped):
        learner = built.learner(Spec("sgd"), 0, 1)
        learner.step(0.1)
        norms.append(learner.norms().grad)
    assert norms[0] == pytest.approx(norms[1])
    assert norms[0] > 0.01


def test_weight_decay_skips_vectors_where_the_workload_says_so() -> None:
    """One step of SGD with weight decay λ from weights w against one without: the difference is lr · λ · w."""
    for name, decayed in (("mlp/digits", True), ("logreg/digits", False)):
        built = workload(Spec.of({"name": name, "weight_decay": 0.5}))
        learner = built.learner(Spec.parse("sgd(momentum=0)"), 0, 1)
        state = learner.state_dict()
        state["model"] = {key: torch.full_like(value, 2.0) for key, value in state["model"].items()}
        plain = workload(Spec.of({"name": name, "weight_decay": 0})).learner(Spec.parse("sgd(momentum=0)"), 0, 1)
        ends = []
        for each in (learner, plain):
            each.load_state_dict({**each.state_dict(), "model": state["model"]})
            each.step(0.1)
            ends.append(each.state_dict()["model"])
        for key in state["model"]:
            lost = ends[1][key] - ends[0][key]
            expected = 0.1 * 0.5 * 2.0 if decayed or ends[0][key].ndim >= 2 else 0.0
            torch.testing.assert_close(lost, torch.full_like(lost, expected), rtol=1e-3, atol=1e-6)


def test_a_network_that_blows_up_has_diverged_and_stops_at_once() -> None:
    training = start("mlp/digits", horizon=200, base_lr=1e4)
    training.advance(200)
    assert training.diverged
    assert training.done
    assert training.step < 200


@pytest.mark.parametrize(
    ("name", "optimizer", "lr", "at_least"),
    [
        ("mlp/digits", "sgd", 0.1, 0.95),
        ("mlp/digits", "adamw", 0.01, 0.95),
        pytest.param("mlp/digits", "sgd(nesterov=true)", 0.1, 0.95, marks=pytest.mark.full),
        pytest.param("mlp/digits", "schedulefree-sgd", 1.0, 0.95, marks=pytest.mark.full),
        pytest.param("mlp/digits", "schedulefree-adamw", 0.01, 0.95, marks=pytest.mark.full),
        pytest.param("cnn/digits", "sgd", 0.2, 0.9, marks=pytest.mark.full),
    ],
)
def test_digits_are_learnt(name: str, optimizer: str, lr: float, at_least: float) -> None:
    family = "constant" if optimizer.startswith("schedulefree") else "uba"
    training = start(name, horizon=200, base_lr=lr, optimizer=optimizer, family=family)
    training.advance(200)
    assert training.evaluate("test")["test_metric"] > at_least
    assert training.curve[-1]["ema_val_metric"] > at_least


def test_curve_covers_the_horizon_and_the_rungs() -> None:
    training = start("quadratic", horizon=100)
    for until in (25, 50, 100):
        training.advance(until)
    steps = [point["step"] for point in training.curve]
    assert steps == sorted(set(steps))
    assert {25, 50, 100} <= set(steps)
    assert all(np.isfinite(list(point.values())).all() for point in training.curve)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_gives_the_same_numbers() -> None:
    losses = []
    for compiled in (False, True):
        learner = workload(Spec.of({"name": "mlp/digits", "compile": compiled})).learner(Spec("sgd"), 0, 5)
        losses.append([float(learner.step(0.1)) for _ in range(5)])
        learner.evaluate("val", averaged=True)
        losses[-1].append(float(learner.step(0.1)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("name", TABLES)
def test_splits_of_tables_are_complete_and_stratified(name: str) -> None:
    rows, classes = TABLES[name]()
    splits = table(name)
    assert [len(splits[key]) / len(rows) for key in ("train", "val", "test")] == pytest.approx(
        [0.6, 0.2, 0.2], abs=0.01
    )
    shares = np.bincount(classes) / len(rows)
    for data in splits.values():
        assert np.bincount(data.targets.numpy()) / len(data) == pytest.approx(shares, abs=0.05)
