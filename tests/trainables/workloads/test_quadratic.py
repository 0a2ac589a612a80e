"""The noisy quadratic against the recursion it claims to be, and against simulation."""

import numpy as np
import pytest

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import Quadratic


def expected_loss(kappa: float, noise: float, dim: int, lrs: np.ndarray) -> float:
    """The recursion of docs/method/quadratic.md in a few lines: v ← (1 − ηh)² v + η² s, loss ½ Σ h v."""
    h = np.logspace(-np.log10(kappa), 0, dim)
    v = np.full(dim, 1 / dim)
    for lr in lrs:
        v = (1 - lr * h) ** 2 * v + lr**2 * noise * h / dim
    return float(0.5 * (h * v).sum())


@pytest.mark.parametrize(("kappa", "noise", "horizon"), [(1000, 0.03, 50), (100, 1.0, 200), (10, 1.0, 800)])
def test_is_exactly_the_recursion(kappa: float, noise: float, horizon: int) -> None:
    uba = schedule("uba", phi=3.0)
    spec = Spec.of({"name": "quadratic", "kappa": kappa, "noise": noise, "dim": 60})
    training = Training(workload(spec), TrialConfig("sgd", horizon, uba, 0.4, seed=0))
    training.advance(horizon)
    lrs = 0.4 * uba.u(np.arange(horizon), horizon)
    assert training.curve[-1]["val_loss"] == pytest.approx(expected_loss(kappa, noise, 60, lrs), rel=1e-12)


def test_momentum_and_average_agree_with_simulation() -> None:
    """200 000 simulated runs of heavy-ball SGD, their average included, against the second moments."""
    quadratic = Quadratic(kappa=5, noise=0.5, dim=3, momentum=0.8)
    learner = quadratic.learner("sgd", 0, 40)
    rng = np.random.default_rng(0)
    runs = 200_000
    h, s = quadratic.problem.curvature, quadratic.problem.noise
    w = rng.choice([-1.0, 1.0], size=(runs, 3)) / np.sqrt(3)
    m, a = np.zeros_like(w), w.copy()
    for step in range(40):
        lr = 0.2 * (1 - step / 40)
        learner.step(lr)
        m = 0.8 * m + h * w + rng.normal(size=w.shape) * np.sqrt(s)
        w = w - lr * m
        a += min(1.0, 10 / (step + 1)) * (w - a)
    for averaged, sample in ((False, w), (True, a)):
        losses = 0.5 * (h * sample**2).sum(axis=1)
        tolerance = 5 * losses.std() / np.sqrt(runs)
        assert learner.evaluate("val", averaged).loss == pytest.approx(losses.mean(), abs=tolerance)


def test_too_large_a_learning_rate_diverges_early() -> None:
    training = Training(workload(Spec("quadratic")), TrialConfig("sgd", 400, schedule("constant"), 4.0, 0))
    training.advance(400)
    assert training.diverged
    assert training.step < 20


@pytest.mark.parametrize(
    ("key", "value"), [("kappa", 0.5), ("noise", -1.0), ("dim", 0), ("dim", 2.5), ("momentum", 1.0)]
)
def test_bad_parameters_are_refused(key: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"workloads\.quadratic\.{key}: {value}"):
        workload(Spec.of({"name": "quadratic", key: value}))
