"""Warmup, floor and sampling on any family, and the mean of what comes out."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phitune.trainables.schedules import Schedule, families, schedule

REQUIRED: dict[str, dict[str, object]] = {
    "uba": {"phi": 3.0},
    "rex-phi": {"phi": 3.0},
    "spline": {"time1": 0.6, "lr1": 0.9, "time2": 0.4, "lr2": 0.2},
    "refined": {"values": [0.5, 1, 0]},
}
EVERY = [schedule(name, **REQUIRED.get(name, {})) for name in families()]


def test_straight_to_zero_is_linear_with_warmup() -> None:
    """Bergsma et al.: 10 % linear warmup, then linear to zero."""
    u = schedule("linear", warmup=0.1).u(np.arange(101), 100)
    np.testing.assert_allclose(u[:11], np.arange(1, 12) / 11)
    np.testing.assert_allclose(u[10:], (100 - np.arange(10, 101)) / 90, atol=1e-15)


@pytest.mark.parametrize(
    ("warmup", "horizon", "steps"),
    [(0, 10, 0), (0.1, 100, 10), (0.1, 4, 0), (7, 100, 7), (7, 5, 4), (0.99, 2, 1), (3, 1, 0)],
)
def test_warmup_is_a_fraction_or_iterations_and_leaves_one(warmup: float, horizon: int, steps: int) -> None:
    instance = schedule("cosine", warmup=warmup)
    assert instance.warmup_steps(horizon) == steps
    u = instance.u(np.arange(horizon), horizon)
    assert u.argmax() == steps
    assert u[steps] == 1.0
    assert u[0] == pytest.approx(1 / (steps + 1))


@given(floor=st.floats(0.0, 0.99), phi=st.floats(0.05, 50.0))
def test_floor_is_the_papers_eta_min(floor: float, phi: float) -> None:
    u = schedule("uba", phi=phi, floor=floor).u(np.arange(101), 100)
    cos = 1 + np.cos(np.pi * np.arange(101) / 100)
    np.testing.assert_allclose(u, (1 - floor) * 2 * cos / (2 * phi + (2 - phi) * cos) + floor, rtol=1e-9, atol=1e-15)


def test_sampled_rex_is_its_staircase() -> None:
    """REX's second axis: at 25, 50 and 75 % alone, and every 10 %."""
    rex = {0.0: 1.0, 0.25: 6 / 7, 0.5: 2 / 3, 0.75: 2 / 5}
    by_hand = [rex[0.0]] * 5 + [rex[0.25]] * 5 + [rex[0.5]] * 5 + [rex[0.75]] * 6
    sampled = schedule("rex", sampling=[0.25, 0.5, 0.75])
    np.testing.assert_allclose(sampled.u(np.arange(21), 20), by_hand)
    assert sampled.mean(20) == pytest.approx(sum(by_hand[:20]) / 20)
    np.testing.assert_allclose(schedule("rex", sampling=0.25).u(np.arange(20), 20), by_hand[:20])
    tenths = schedule("rex", sampling=0.1).u(np.arange(100), 100)
    np.testing.assert_allclose(tenths, np.repeat(schedule("rex").u(np.arange(10), 10), 10))


@pytest.mark.parametrize("parts", [3, 7, 10, 49, 100])
def test_sampling_changes_at_the_very_step(parts: int) -> None:
    for sampling in (1 / parts, round(1 / parts, 15)):
        u = schedule("linear", sampling=sampling).u(np.arange(6 * parts), 6 * parts)
        np.testing.assert_allclose(u, np.repeat(1 - np.arange(parts) / parts, 6), atol=1e-12)


def test_sampling_counts_after_warmup() -> None:
    u = schedule("linear", warmup=4, sampling=0.5).u(np.arange(13), 12)
    np.testing.assert_allclose(u, [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0])


@pytest.mark.parametrize("instance", EVERY, ids=str)
def test_mean_is_the_average_over_a_run(instance: Schedule) -> None:
    for composed in (
        {},
        {"warmup": 0.3},
        {"floor": 0.2},
        {"sampling": 0.1},
        {"sampling": (0.3, 0.9)},
        {"sampling": 0.03, "warmup": 500, "floor": 0.1},
    ):
        each = replace(instance, **composed)
        middles = each.u(np.arange(200_000) + 0.5, 200_000)
        assert each.mean(200_000) == pytest.approx(float(middles.mean()), rel=1e-4)


def test_mean_of_many_stairs_goes_over_into_the_integral() -> None:
    few, many = (schedule("rex", sampling=s).mean(100) for s in (1.0001e-4, 0.9999e-4))
    assert few == pytest.approx(many, rel=1e-7)
    assert schedule("rex", sampling=1e-9).mean(100) == pytest.approx(schedule("rex").mean(100))


@settings(max_examples=20, deadline=None)
@given(sampling=st.floats(1e-4, 1.0), warmup=st.floats(0.0, 0.9))
def test_mean_is_cheap_at_any_horizon(sampling: float, warmup: float) -> None:
    instance = schedule("uba", phi=3.0, sampling=sampling, warmup=warmup)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        instance.mean(10**8)
        took.append(time.perf_counter() - start)
    assert min(took) < 1e-3


@pytest.mark.parametrize("instance", EVERY, ids=str)
def test_long_arrays_of_steps_are_as_short_ones_and_left_alone(instance: Schedule) -> None:
    horizon = 50_001
    steps = np.linspace(0, horizon, 60_000).reshape(100, 600)
    for array in (steps, np.asfortranarray(steps), steps[::-1, ::2]):
        before = array.copy()
        whole = instance.u(array, horizon)
        np.testing.assert_array_equal(whole, np.array([instance.u(row, horizon) for row in before]))
        np.testing.assert_array_equal(array, before)
