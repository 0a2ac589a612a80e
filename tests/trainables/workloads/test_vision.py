"""Vision workloads on small data sets in the published formats: recipe, training, bad parameters."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Value
from phitune.trainables.testing.workloads import Entry, WorkloadConformance
from phitune.trainables.training import Training, TrialConfig
from tests.trainables.workloads.pictures import SGD, vision


@pytest.mark.parametrize(
    ("name", "iterations"),
    [
        ("resnet18/cifar10", 200 * 351),
        ("vgg16_bn/cifar100", 300 * 351),
        ("resnet20/stl10", 200 * 35),
        ("cnn/mnist", 30 * 421),
        ("cnn/fashion-mnist", 30 * 421),
    ],
)
def test_full_budget_is_known_without_data(name: str, iterations: int) -> None:
    assert vision(name, root="nowhere").full_budget == iterations


def test_full_budget_follows_batch_size_and_epochs() -> None:
    assert vision("resnet20/cifar10", batch_size=1000, epochs=3).full_budget == 3 * 45
    assert vision("resnet20/cifar10", batch_size=60_000, epochs=3).full_budget == 3


def test_transformers_decay_no_vectors() -> None:
    decays = {name: vision(f"{name}/cifar10").decay_vectors for name in ("resnet20", "resnet18", "vit-tiny", "swin_t")}
    assert decays == {"resnet20": True, "resnet18": True, "vit-tiny": False, "swin_t": False}


def test_same_seed_same_numbers_also_after_a_resume(cifar: str) -> None:
    built = vision("resnet8/cifar10", root=cifar, batch_size=32)

    def losses(seed: int) -> list[float]:
        learner = built.learner(SGD, seed, 10)
        return [float(learner.step(0.05)) for _ in range(4)]

    assert losses(0) == losses(0) != losses(1)
    learner = built.learner(SGD, 0, 10)
    for _ in range(2):
        learner.step(0.05)
    state = learner.state_dict()
    resumed = built.learner(SGD, 7, 10)
    resumed._seed = 0  # type: ignore[attr-defined]  # the batches of seed 0, the weights from the state
    resumed.load_state_dict(state)
    assert [float(resumed.step(0.05)) for _ in range(2)] == losses(0)[2:]


@pytest.mark.parametrize(
    "name",
    [
        "mlp/cifar100",
        pytest.param("vit-tiny/cifar10", marks=pytest.mark.full),
        pytest.param("resnet18/cifar10", marks=pytest.mark.full),
        "shufflenet_v2_x0_5/cifar10",
    ],
)
def test_a_step_and_an_evaluation(name: str, cifar: str) -> None:
    built = vision(name, root=cifar, batch_size=8)
    built.check(SGD)
    learner = built.learner(SGD, 0, 10)
    classes = 100 if "100" in name else 10
    assert 0.3 * np.log(classes) < float(learner.step(0.01)) < 3 * np.log(classes)
    result = learner.evaluate("val")
    assert np.isfinite(result.loss) and 0 <= result.metric <= 1


def test_stl10_trains(stl10: str) -> None:
    built = vision("cnn/stl10", root=stl10, batch_size=8)
    built.check(SGD)
    learner = built.learner(SGD, 0, 10)
    assert np.isfinite(float(learner.step(0.01))) and np.isfinite(learner.evaluate("test").loss)


def test_a_made_data_set_is_learnt(mnist: str) -> None:
    built = vision("mlp/mnist", root=mnist, batch_size=40)
    training = Training(built, TrialConfig("sgd", 120, schedule("linear"), 0.03, 0), points=4)
    training.advance(120)
    assert training.curve[-1]["train_loss"] < 0.3 * training.curve[0]["train_loss"]
    assert training.curve[-1]["val_metric"] > 0.8
    assert training.evaluate("test")["test_metric"] > 0.8


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"stem": "cfar"}, r"cifar10\.stem: 'cfar' is not allowed; it must be one of auto, cifar, imagenet"),
        ({"epochs": 0}, r"cifar10\.epochs: 0 is not allowed"),
        ({"epochs": 1.5}, r"cifar10\.epochs: 1\.5 is not allowed"),
        ({"size": 64}, r"cifar10\.size: 64 is not allowed; only images takes a size"),
        ({"sise": 64}, r"cifar10\.sise: unknown parameter; .*root, stem, epochs, size, batch_size"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, Value], words: str) -> None:
    with pytest.raises(InputError, match=words):
        vision("resnet20/cifar10", **params)


def test_unknown_architecture_is_refused_before_a_search(cifar: str) -> None:
    with pytest.raises(InputError, match="unknown architecture 'resnet21'; did you mean 'resnet"):
        vision("resnet21/cifar10", root="nowhere").check(SGD)


class _OnMnist(WorkloadConformance):
    network_name: ClassVar[str]

    @pytest.fixture
    def entry(self, mnist: str) -> Entry:
        return {"name": f"{self.network_name}/mnist", "root": mnist, "batch_size": 16}


@pytest.mark.full
class TestCnn(_OnMnist):
    network_name = "cnn"


@pytest.mark.full
class TestResnet8(_OnMnist):
    network_name = "resnet8"
