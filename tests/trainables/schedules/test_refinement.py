"""Refinement from gradient norms against a slow twin and the source's properties."""

import math
import statistics
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import refine


def slow_twin(norms: list[float], power: int, points: int, smoothing: float) -> list[float]:
    """The formulas of docs/method/schedules.md (arXiv 2310.07831), in plain loops."""
    n = len(norms)
    half = math.floor(smoothing * n / 2)
    reflected = [*norms, *reversed(norms)]
    smooth = [statistics.median(reflected[p % (2 * n)] for p in range(t - half, t + half + 1)) for t in range(n)]
    w = [norm**-power for norm in smooth]
    eta = [w[t] * sum(w[t + 1 :]) for t in range(n)]
    knots = []
    for i in range(points):
        at = i / (points - 1) * (n - 1)
        left = min(int(at), n - 2)
        knots.append(eta[left] + (at - left) * (eta[left + 1] - eta[left]))
    return [knot / max(knots) for knot in knots]


@settings(max_examples=40, deadline=None)
@given(
    norms=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=60),
    kind=st.sampled_from([("sgd", 2), ("adam", 1), ("adamw", 1), ("amsgrad", 1)]),
    points=st.integers(2, 40),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_agrees_with_the_slow_twin(norms: list[float], kind: tuple[str, int], points: int, smoothing: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refined = refine(norms, kind[0], points, smoothing)
    assert len(refined.values) == points
    assert refined.values == pytest.approx(slow_twin(norms, kind[1], points, smoothing), abs=6e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("norm", [1e-200, 1.0, 3e150])
def test_constant_norms_give_linear_decay(optimizer: str, norm: float) -> None:
    values = refine([norm] * 777, optimizer).values
    assert values == tuple(round(1 - i / 100, 5) for i in range(101))


def test_norms_that_fall_early_ask_for_a_warmup() -> None:
    x = np.linspace(0, 1, 2000)
    refined = refine(1 + 4 * np.exp(-x / 0.05), "sgd")
    u = np.array(refined.values)
    assert u[0] < 0.2
    assert 0.1 < u.argmax() / 100 < 0.45
    assert u[-1] == 0


def test_norms_that_rise_late_ask_for_an_early_decay() -> None:
    rising = np.array(refine(np.linspace(1, 3, 500), "sgd").values)
    assert rising[50] < 0.5


def test_one_wild_step_is_smoothed_away() -> None:
    norms = np.ones(500)
    norms[250] = 1e-6
    assert refine(norms, "sgd").values == refine(np.ones(500), "sgd").values


@pytest.mark.parametrize(
    ("norms", "what"),
    [
        (np.where(np.arange(1000) < 950, 1.0, 0.01), "its peak is at"),
        (np.where(np.arange(1000) < 300, 0.1, 10.0), "it is below 1% of its peak for"),
    ],
)
def test_degenerate_results_warn(norms: np.ndarray, what: str) -> None:
    with pytest.warns(UserWarning, match=f"refined schedule: {what}") as caught:
        refine(norms, "sgd", smoothing=0.0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 0.0, 1.0], "sgd"), "norms: 0 at step 1 is not allowed"),
        (([1.0, 1.0, math.nan], "sgd"), "norms: nan at step 2 is not allowed"),
        (([1.0, math.inf], "sgd"), "norms: inf at step 1 is not allowed"),
        (([-1.0, 1.0], "adam"), "norms: -1 at step 0 is not allowed"),
        (([1.0], "adam"), r"norms: an array of shape \(1,\) is not allowed"),
        (([1.0, 1.0], "lion"), "optimizer: 'lion' is not allowed; it must be one of sgd, adam, adamw, amsgrad"),
        (([1.0, 1.0], "sgd", 1), "points: 1 is not allowed"),
        (([1.0, 1.0], "sgd", 5, 1.5), "smoothing: 1.5 is not allowed"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        refine(*arguments)  # type: ignore[arg-type]
