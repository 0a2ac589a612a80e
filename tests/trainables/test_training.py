"""The training loop: pure in its seed, resumable bit for bit, averaged as it says."""

import numpy as np
import pytest
import torch

from trainables.schedules import schedule
from trainables.training import Training, TrialConfig
from trainables.workloads import WorkloadSpec, workload
from trainables.workloads.digits import digits


def start(name: str, horizon: int = 40, base_lr: float = 0.1, seed: int = 3, optimizer: str = "sgd") -> Training:
    config = TrialConfig(optimizer, horizon, schedule("uba", phi=1.0), base_lr, seed)
    return Training(workload(WorkloadSpec.parse(name)), config)


@pytest.mark.parametrize("name", ["mlp/digits", "cnn/digits", "quadratic"])
def test_same_configuration_gives_the_same_numbers(name: str) -> None:
    first, second = start(name), start(name)
    for training in (first, second):
        training.advance(40)
    assert first.curve == second.curve


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("mlp/digits", "sgd"), ("mlp/digits", "adamw"), ("cnn/digits", "amsgrad"), ("quadratic", "sgd")],
)
@pytest.mark.parametrize("at", [1, 17])
def test_resuming_equals_never_having_stopped(name: str, optimizer: str, at: int) -> None:
    fresh, broken = (start(name, optimizer=optimizer, base_lr=0.01) for _ in range(2))
    fresh.advance(at)
    broken.advance(at)
    resumed = start(name, optimizer=optimizer, base_lr=0.01)
    resumed.load_state_dict(broken.state_dict())
    fresh.advance(40)
    resumed.advance(40)
    assert resumed.curve == fresh.curve


def test_stopping_early_leaves_the_schedule_alone() -> None:
    stopped, whole = start("mlp/digits"), start("mlp/digits")
    stopped.advance(10)
    whole.advance(40)
    assert stopped.config.horizon == 40
    assert stopped.curve[-1]["lr"] == pytest.approx(0.1 * float(schedule("uba", phi=1.0).u(9, 40)))
    assert whole.curve[-1]["lr"] == pytest.approx(0.1 * float(schedule("uba", phi=1.0).u(39, 40)))


def test_average_is_the_running_average_of_the_weights() -> None:
    learner = workload(WorkloadSpec("mlp/digits")).learner("sgd", 0, 30)
    expected = None
    for step in range(30):
        learner.step(0.1)
        weights = learner.state_dict()["model"]
        weight = min(1.0, 10 / (step + 1))
        if expected is None:
            expected = {key: value.double() for key, value in weights.items()}
        expected = {key: expected[key] + weight * (weights[key].double() - expected[key]) for key in weights}
    assert expected is not None
    for key, value in learner.state_dict()["average"].items():
        torch.testing.assert_close(value.double(), expected[key], rtol=1e-5, atol=1e-6)


def test_seeds_change_weights_and_batches_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, second = start("mlp/digits", seed=1), start("mlp/digits", seed=2)
    for training in (first, second):
        training.advance(5)
    assert first.curve[-1]["train_loss"] != second.curve[-1]["train_loss"]
    assert torch.rand(1) == expected


def test_a_network_that_blows_up_has_diverged_and_stops_at_once() -> None:
    training = start("mlp/digits", horizon=200, base_lr=1e4)
    training.advance(200)
    assert training.diverged
    assert training.done
    assert training.step < 200


@pytest.mark.parametrize(("name", "lr", "at_least"), [("mlp/digits", 0.1, 0.95), ("cnn/digits", 0.2, 0.9)])
def test_digits_are_learnt(name: str, lr: float, at_least: float) -> None:
    training = start(name, horizon=200, base_lr=lr)
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


def test_splits_are_disjoint_stratified_and_complete() -> None:
    splits = digits()
    assert {name: len(data.targets) for name, data in splits.items()} == {"train": 1078, "val": 359, "test": 360}
    for data in splits.values():
        assert np.bincount(data.targets.numpy()).min() > 0.08 * len(data.targets)
    every = torch.cat([data.inputs.flatten(1) for data in splits.values()])
    assert len(every) == 1797
