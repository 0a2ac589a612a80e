"""When a training loss has exploded: losses of any sign and offset are healthy, growth without end is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from phitune.trainables.training.explosion import Explosion

Steps = NDArray[np.float64]
STEPS = np.arange(1.0, 2001.0)
NOISE = np.random.default_rng(0).standard_normal(2000)


def told(losses: Steps) -> int | None:
    """The step at which the losses have exploded."""
    explosion = Explosion()
    return next((step for step, loss in enumerate(losses, 1) if explosion.exploded(step, float(loss))), None)


def entropy(steps: Steps) -> Steps:
    """A usual loss: falls from 2.3 to 0.3, with the noise of batches."""
    return 2.3 - 2.0 * (1 - np.exp(-steps / 300)) + 0.1 * NOISE


HEALTHY: dict[str, Callable[[Steps], Steps]] = {
    "cross entropy": entropy,
    "cross entropy less its first value": lambda t: entropy(t) - entropy(t)[0],
    "cross entropy less its optimum": lambda t: entropy(t) - 0.3,
    "a likelihood's negative logarithm": lambda t: -5.0 - np.log(t) + 0.1 * NOISE,
    "a large offset": lambda t: entropy(t) + 1e6,
    "a large negative offset": lambda t: entropy(t) - 1e6,
    "a policy gradient": lambda t: 0.05 * NOISE,
    "a policy gradient whose first loss is round-off": lambda t: np.where(t == 1, 1e-9, 0.05 * NOISE),
    "alternating round-off and a surrogate's loss": lambda t: np.where(t % 2, 1e-9, -0.02 + 0.01 * NOISE),
    "KL to a reference, from 0": lambda t: 1e-6 * (t - 1) ** 2,
    "KL to a reference after a warmup, from round-off": lambda t: 1e-12 + 1e-9 * t**4 / (1 + t**3),
    "returns' squared errors before and after the first reward": lambda t: np.where(t < 900, 0.0, 4e5 * NOISE**2),
    "squared errors that grow with the returns": lambda t: (t - 1) ** 3 * (1 + 0.1 * NOISE),
    "zeros": lambda t: 0.0 * t,
    "a spike": lambda t: entropy(t) + 1500.0 * (t == 700),
    "falling without end": lambda t: -np.exp(t / 10),
}


@pytest.mark.parametrize("losses", HEALTHY.values(), ids=HEALTHY.keys())
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_healthy_losses_never_explode(losses: Callable[[Steps], Steps], scale: float) -> None:
    assert told(scale * losses(STEPS)) is None


@pytest.mark.parametrize("first", [-1e3, -2.3, 0.0, 1e-9, 2.3, 1e3])
@pytest.mark.parametrize("begins", [1, 100])
@pytest.mark.parametrize("factor", [1.05, 1.5, 10.0, 1e5])
def test_exponential_growth_is_told_in_three_times_the_steps_of_a_thousandfold(
    first: float, begins: int, factor: float
) -> None:
    growing = factor ** np.minimum(np.maximum(STEPS - begins, 0.0), 300 / np.log10(factor))
    thousandfold = max(1.0, np.log(1e3) / np.log(factor))
    to_first = np.log(max(abs(first), 1.0)) / np.log(factor)
    # Where all losses were 0, nothing can be told until the next power of two.
    told_from = 2 ** int(np.ceil(np.log2(begins))) if first == 0.0 else begins
    step = told(first + growing - 1.0)
    assert step is not None
    assert begins < step <= told_from + to_first + 3 * thousandfold + 3


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("first", [-1.0, 0.0, 2.3])
def test_a_loss_that_is_not_finite_has_exploded(first: float, loss: float) -> None:
    assert told(np.array([loss])) == 1
    assert told(np.array([first, first, loss])) == 3


def test_a_jump_to_a_plateau_far_above_has_exploded() -> None:
    assert told(np.where(STEPS < 500, 0.3, 1e5)) == 500


def test_what_it_knows_can_be_saved_and_restored() -> None:
    whole, losses = Explosion(), entropy(STEPS)
    for step, loss in enumerate(losses[:777], 1):
        whole.exploded(step, float(loss))
    restored = Explosion(**asdict(whole))
    assert restored == whole and restored.reference > 2.0
