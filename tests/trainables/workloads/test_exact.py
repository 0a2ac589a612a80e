"""The linear regression and the power law against recursions in a few lines, simulation and theory."""

import numpy as np
import pytest

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import PowerLaw, Regression


def trained(entry: dict[str, object], horizon: int, base_lr: float) -> float:
    """The loss at the end of a trial with cosine decay."""
    training = Training(workload(Spec.of(entry)), TrialConfig("sgd", horizon, schedule("cosine"), base_lr, seed=0))
    training.advance(horizon)
    return float(training.curve[-1]["val_loss"])


def test_regression_is_the_paper_s_recursion() -> None:
    """arXiv 2603.10301: p ← (1 − ηλ)² p + η² (1/B − 1/D) λ Σλp."""
    eigenvalues = np.arange(1, 31) ** -1.25
    p = np.full(30, 1 / 30)
    for lr in 0.4 * schedule("cosine").u(np.arange(200), 200):
        p = (1 - lr * eigenvalues) ** 2 * p + lr**2 * (1 / 2 - 1 / 512) * eigenvalues * (eigenvalues * p).sum()
    exact = trained({"name": "regression", "dim": 30, "batch": 2, "examples": 512}, 200, 0.4)
    assert exact == pytest.approx(0.5 * (eigenvalues * p).sum(), rel=1e-12)


def test_a_full_batch_is_without_noise() -> None:
    assert Regression(batch=1024).problem.proportional == 0


def test_power_law_is_its_recursion() -> None:
    h = np.arange(1, 41) ** -2.0
    signal = np.arange(1, 41) ** (-1 - 2.0 * 0.7)
    v = signal / signal.sum() / h
    for lr in 0.5 * schedule("cosine").u(np.arange(200), 200):
        v = (1 - lr * h) ** 2 * v + lr**2 * 0.2 * h
    exact = trained({"name": "power-law", "capacity": 2.0, "source": 0.7, "noise": 0.2, "dim": 40}, 200, 0.5)
    assert exact == pytest.approx(0.5 * (h * v).sum(), rel=1e-12)


@pytest.mark.parametrize(("capacity", "source"), [(1.5, 1.0), (2.0, 0.3)])
def test_power_law_s_exponents_are_those_of_its_losses(capacity: float, source: float) -> None:
    """arXiv 2509.19189: the signal falls like (Σ LR)^(−s), the loss of noise injected t ago like t^(−(2 − 1/β))."""
    problem = PowerLaw(capacity, source, dim=20_000).problem
    assert problem.first_loss == pytest.approx(0.5)
    times = np.array([100.0, 200.0])
    decay = np.exp(-2 * times[:, None] * problem.curvature)
    signal = (problem.curvature * problem.start * decay).sum(axis=1)
    assert np.log2(signal[0] / signal[1]) == pytest.approx(source, rel=0.05)
    noise = (problem.curvature * problem.noise * decay).sum(axis=1)
    assert np.log2(noise[0] / noise[1]) == pytest.approx(2 - 1 / capacity, rel=0.02)


def test_momentum_with_noise_that_follows_the_loss_agrees_with_simulation() -> None:
    """200 000 simulated runs of heavy-ball SGD, their average included, against the second moments."""
    regression = Regression(dim=3, batch=4, momentum=0.5)
    learner = regression.learner(Spec("sgd"), 0, 30)
    h, c = regression.problem.curvature, regression.problem.proportional
    rng = np.random.default_rng(0)
    runs = 200_000
    w = rng.choice([-1.0, 1.0], size=(runs, 3)) / np.sqrt(3)
    m, a = np.zeros_like(w), w.copy()
    for step in range(30):
        learner.step(0.2)
        spread = np.sqrt(c * h * (h * w**2).sum(axis=1)[:, None])
        m = 0.5 * m + h * w + spread * rng.normal(size=w.shape)
        w = w - 0.2 * m
        a += min(1.0, 10 / (step + 1)) * (w - a)
    for averaged, sample in ((False, w), (True, a)):
        losses = 0.5 * (h * sample**2).sum(axis=1)
        tolerance = 5 * losses.std() / np.sqrt(runs)
        assert learner.evaluate("val", averaged).loss == pytest.approx(losses.mean(), abs=tolerance)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("regression", "dim", 0),
        ("regression", "exponent", -1),
        ("regression", "batch", 2000),
        ("regression", "examples", 1.5),
        ("regression", "momentum", 1),
        ("power-law", "capacity", 1),
        ("power-law", "source", 0),
        ("power-law", "noise", -0.1),
        ("power-law", "dim", True),
    ],
)
def test_bad_parameters_are_refused(name: str, key: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"workloads\.{name}\.{key}: {value}"):
        workload(Spec.of({"name": name, key: value}))
