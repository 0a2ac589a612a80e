"""The gradient norms of a trial are those of a plain loop over the same steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import TrialConfig
from phitune.trainables.training.gradient_norms import gradient_norms
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_learner import TorchLearner


@pytest.mark.parametrize(("order", "optimizer", "lr"), [(2, "sgd", 0.1), (1, "adamw", 0.01)])
def test_gradient_norms_of_every_step(order: int, optimizer: str, lr: float) -> None:
    problem = workload(Spec("mlp/digits"))
    config = TrialConfig(optimizer, 12, schedule("linear"), lr, seed=3)
    norms = gradient_norms(problem, config, order)  # type: ignore[arg-type]
    learner = problem.learner(Spec(optimizer), 3, 12)
    assert isinstance(learner, TorchLearner)
    expected = []
    for step in range(12):
        learner.step(lr * (1 - step / 12))
        gradients = [p.grad for group in learner.optimizer.param_groups for p in group["params"]]
        expected.append(float(np.linalg.norm(torch.cat([g.flatten() for g in gradients]).double(), ord=order)))
    assert norms == pytest.approx(expected, rel=1e-5)


def test_a_diverged_trial_has_no_gradient_norms() -> None:
    config = TrialConfig("sgd", 50, schedule("linear"), 1e4, seed=3)
    with pytest.raises(InputError, match="must not diverge"):
        gradient_norms(workload(Spec("mlp/digits")), config, 2)  # type: ignore[arg-type]
