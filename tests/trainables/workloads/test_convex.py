"""Logistic regression: its minimum is scikit-learn's; its training loss is exact."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as Reference

from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.data.tables import table


@pytest.mark.parametrize(
    ("data", "steps", "lr"),
    [
        ("wine", 1500, 0.3),
        pytest.param("iris", 1500, 0.3, marks=pytest.mark.full),
        pytest.param("digits", 2500, 0.2, marks=pytest.mark.full),
    ],
)
def test_minimum_is_scikit_learn_s(data: str, steps: int, lr: float) -> None:
    decay = 0.01
    learner = workload(Spec.of({"name": f"logreg/{data}", "weight_decay": decay})).learner(Spec("sgd"), 0, steps)
    for step in range(steps):
        learner.step(lr * (1 - step / steps) ** 2)
    weights = learner.state_dict()["model"]["weight"]
    reached = learner.evaluate("train").loss + 0.5 * decay * float(weights.square().sum())

    train = table(data, by_feature=data != "digits")["train"]
    reference = Reference(C=1 / (len(train) * decay), max_iter=5000, tol=1e-9).fit(train.inputs, train.targets)
    log_probability = reference.predict_log_proba(train.inputs)[np.arange(len(train)), train.targets]
    optimum = -log_probability.mean() + 0.5 * decay * np.square(reference.coef_).sum()
    assert optimum - 1e-5 <= reached <= optimum + 1e-3


def test_starts_at_zero_whatever_the_seed() -> None:
    built = workload(Spec("logreg/digits"))
    for seed in (0, 1):
        evaluation = built.learner(Spec("sgd"), seed, 1).evaluate("train")
        assert evaluation.loss == pytest.approx(np.log(10), rel=1e-6)


def test_training_loss_is_that_of_all_rows() -> None:
    learner = workload(Spec("logreg/breast-cancer")).learner(Spec("adamw"), 0, 10)
    for _ in range(10):
        learner.step(0.01)
    train = table("breast-cancer")["train"]
    state = learner.state_dict()["model"]
    outputs = train.inputs @ state["weight"].T + state["bias"]
    assert learner.evaluate("train").loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(outputs, train.targets)), rel=1e-5
    )


def test_hastie_is_a_sphere_that_no_plane_divides() -> None:
    train = table("hastie", by_feature=False)["train"]
    outside = torch.square(train.inputs).sum(dim=1)
    assert outside[train.targets == 1].min() > outside[train.targets == 0].max() - 0.2
    assert 0.45 < float(train.targets.float().mean()) < 0.55
