"""Families against their papers' formulas and figures, and against each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad

from phitune.trainables.schedules import families, family, schedule

phis = st.floats(0.01, 200.0)
inside = st.floats(0.0, 0.999)
X = np.linspace(0.0, 1.0, 1001)


def profile(name: str, x: float | NDArray[np.float64] = X, **parameters: object) -> NDArray[np.float64]:
    return schedule(name, **parameters).profile(np.asarray(x))


@given(phi=phis, x=inside)
def test_uba_is_the_tangent_form(phi: float, x: float) -> None:
    """docs/method/schedules.md: u = 1 / (1 + φ/2 tan²(πx/2))."""
    assert profile("uba", x, phi=phi) == pytest.approx(1 / (1 + phi / 2 * math.tan(math.pi * x / 2) ** 2), rel=1e-9)


@given(phi=phis, x=st.floats(0.0, 1.0))
def test_uba_reflects_at_four_over_phi(phi: float, x: float) -> None:
    assert profile("uba", x, phi=4 / phi) == pytest.approx(1 - profile("uba", 1 - x, phi=phi), abs=1e-9)


@given(phi=phis)
def test_uba_midpoint_end_and_tail(phi: float) -> None:
    assert profile("uba", 0.5, phi=phi) == pytest.approx(2 / (2 + phi))
    assert profile("uba", 1.0, phi=phi) == pytest.approx(0.0, abs=1e-12)
    left = 1e-4
    assert profile("uba", 1 - left, phi=phi) == pytest.approx(2 / phi * (math.pi * left / 2) ** 2, rel=1e-4)


def test_uba_at_two_is_cosine() -> None:
    np.testing.assert_allclose(profile("uba", phi=2.0), profile("cosine"), atol=1e-15)


@pytest.mark.parametrize(
    ("phi", "mean", "late"),
    [(0.25, 0.739, 0.167), (0.5, 0.667, 0.091), (1, 0.586, 0.048), (5, 0.387, 0.0099), (10, 0.309, 0.0050)],
)
def test_uba_published_table(phi: float, mean: float, late: float) -> None:
    assert schedule("uba", phi=phi).mean(100) == pytest.approx(mean, abs=6e-4)
    assert profile("uba", 0.9, phi=phi) == pytest.approx(late, abs=6e-4)


def test_uba_is_the_chebyshev_step_size() -> None:
    """Sorted Chebyshev minimax steps for [λl, λu] are UBA with φ = 2κ between 1/λl and 1/λu, at half-step nodes."""
    low, high, horizon = 0.02, 1.0, 50
    theta = (2 * np.arange(1, horizon + 1) - 1) * np.pi / (2 * horizon)
    chebyshev = np.sort(2 / ((high + low) - (high - low) * np.cos(theta)))[::-1]
    # eta_min / eta_max = λl / λu is the floor.
    floored = low * schedule("uba", phi=2 * high / low, floor=low / high).u(theta / np.pi * horizon, horizon) / low**2
    np.testing.assert_allclose(chebyshev, floored, rtol=1e-9)


def test_rex_published_values() -> None:
    np.testing.assert_allclose(profile("rex", np.array([0, 0.5, 0.9, 1])), [1, 2 / 3, 0.1 / 0.55, 0], atol=1e-15)
    assert schedule("rex").mean(100) == pytest.approx(0.614, abs=5e-4)


def test_rex_phi_at_one_is_rex_and_at_two_linear() -> None:
    np.testing.assert_allclose(profile("rex-phi", phi=1.0), profile("rex"), atol=1e-15)
    np.testing.assert_allclose(profile("rex-phi", phi=2.0), profile("linear"), atol=1e-15)


@given(phi=phis, x=inside)
def test_rex_phi_is_ubas_map_on_the_linear_profile(phi: float, x: float) -> None:
    """A point of equal height on cosine and on linear is moved to equal heights by the same φ."""
    at = math.acos(2 * (1 - x) - 1) / math.pi
    assert profile("rex-phi", x, phi=phi) == pytest.approx(profile("uba", at, phi=phi), rel=1e-6, abs=1e-12)
    assert profile("rex-phi", x, phi=4 / phi) == pytest.approx(1 - profile("rex-phi", 1 - x, phi=phi), abs=1e-9)


@pytest.mark.parametrize("phi", [1e-6, 0.05, 1.0, 1.89, 1.91, 2 - 1e-9, 2.0, 2 + 1e-9, 2.09, 2.11, 50.0, 1e6])
def test_rex_phi_mean_is_the_integral_near_two_and_far(phi: float) -> None:
    a = phi / 2
    # With z = e^s both ends are smooth.
    integral, _ = quad(lambda s: math.exp(2 * s) / (a * -math.expm1(s) + math.exp(s)), -60, 0, epsabs=0, limit=500)
    assert schedule("rex-phi", phi=phi).mean(10) == pytest.approx(integral, rel=1e-9)


def test_wsd_holds_then_cools_down() -> None:
    """Hägele et al.: 1 - z, or 1 - √z, over the last share of the budget."""
    x = np.array([0.0, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0])
    z = np.array([0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(profile("wsd", x), 1 - z, atol=1e-15)
    np.testing.assert_allclose(profile("wsd", x, shape="sqrt"), 1 - np.sqrt(z), atol=1e-7)
    assert schedule("wsd").mean(100) == pytest.approx(0.8 + 0.2 / 2)
    assert schedule("wsd", shape="sqrt").mean(100) == pytest.approx(0.8 + 0.2 / 3)


shares = st.floats(0.02, 0.95)


@given(time1=shares, lr1=shares, time2=shares, lr2=shares)
def test_spline_passes_its_points_and_never_rises(time1: float, lr1: float, time2: float, lr2: float) -> None:
    made = schedule("spline", time1=time1, lr1=lr1, time2=time2, lr2=lr2)
    points = made.profile(1 - np.array([time1, time1 * time2]))
    assert points == pytest.approx([lr1, lr1 * lr2], abs=1e-12)
    assert np.diff(made.profile(X)).max() <= 1e-15


def test_spline_holds_and_then_follows_fritsch_and_butland() -> None:
    held = profile("spline", time1=0.4, lr1=1.0, time2=0.5, lr2=0.6)
    np.testing.assert_array_equal(held[:601], 1.0)
    # Time left 0, .2, .4, 1 and u 0, .6, 1, 1: secants 3, 2, 0. Slope at .2: harmonic mean, weights 1 to 1 as both
    # sides are as long; at .4 a side is flat; at 0 the parabola's through three points, ((2·.2+.2)·3 − .2·2)/.4.
    left, (end, middle) = 0.1, (3.5, 2.4)
    hermite = 0.5 * 0.6 + 0.2 / 8 * (end - middle)
    assert profile("spline", 1 - left, time1=0.4, lr1=1.0, time2=0.5, lr2=0.6) == pytest.approx(hermite)


@pytest.mark.parametrize(
    ("family", "parameters", "spline", "within"),
    [
        ("linear", {}, (0.3, 0.3, 0.7, 0.7), 1e-12),
        ("cosine", {}, (0.92, 0.983, 0.1, 0.0246), 0.006),
        ("polynomial", {"power": 3.0}, (0.657, 0.282, 0.5015, 0.121), 0.01),
        ("wsd", {}, (0.2, 1.0, 0.9, 0.9), 0.02),
    ],
)
def test_spline_is_close_to(
    family: str, parameters: dict[str, float], spline: tuple[float, ...], within: float
) -> None:
    values = dict(zip(("time1", "lr1", "time2", "lr2"), spline, strict=True))
    np.testing.assert_allclose(profile("spline", **values), profile(family, **parameters), rtol=0, atol=within)


def test_families_that_meet() -> None:
    for delay in (0.0, 0.3, 0.9):
        np.testing.assert_allclose(
            profile("delayed-linear", delay=delay), profile("wsd", cooldown=1 - delay), atol=1e-12
        )
    np.testing.assert_allclose(profile("wsd", cooldown=1.0), profile("linear"), atol=1e-15)
    np.testing.assert_allclose(profile("polynomial", power=1.0), profile("linear"), atol=1e-15)
    np.testing.assert_allclose(profile("sgdr", restarts=0), profile("cosine"), atol=1e-15)
    np.testing.assert_allclose(profile("refined", values=[1, 0]), profile("linear"), atol=1e-15)
    np.testing.assert_array_equal(profile("multistep", milestones=[0.5, 0.75]), profile("step"))
    assert schedule("multistep", milestones=[0.5, 0.75]) != schedule("step")


def test_sgdr_restarts_at_even_parts_of_any_budget() -> None:
    for horizon in (3, 30, 49, 100, 1001):
        for restarts in (1, 2, 6, 48):
            starts = np.arange(restarts + 1) * horizon / (restarts + 1)
            assert schedule("sgdr", restarts=restarts).u(starts, horizon) == pytest.approx(1.0, abs=1e-12)


def test_inverse_sqrt_with_its_warmup_is_the_transformers() -> None:
    """Vaswani et al.: min(t/w, √(w/t)); with a timescale of w the decay is √(w/t), t counted from 0."""
    horizon, w = 1000, 100
    u = schedule("inverse-sqrt", warmup=w, timescale=w / (horizon - w)).u(np.arange(w, horizon), horizon)
    np.testing.assert_allclose(u, np.sqrt(w / np.arange(w, horizon)), rtol=1e-12)


def test_defaults_of_every_family_have_a_mean_in_closed_form() -> None:
    for name in families():
        instance = schedule(
            name,
            **{
                "uba": {"phi": 3},
                "rex-phi": {"phi": 3},
                "refined": {"values": [0, 1, 0.5]},
                "spline": {"time1": 0.8, "lr1": 0.3, "time2": 0.2, "lr2": 0.5},
            }.get(name, {}),
        )
        middles = (np.arange(200_000) + 0.5) / 200_000
        assert instance.mean(100) == pytest.approx(float(instance.profile(middles).mean()), rel=1e-5)


def test_required_parameters_are_those_without_a_default() -> None:
    required = {name: family(name).required() for name in families() if family(name).required()}
    spline = ["time1", "lr1", "time2", "lr2"]
    assert required == {"uba": ["phi"], "rex-phi": ["phi"], "refined": ["values"], "spline": spline}


def test_what_a_person_reads() -> None:
    assert str(schedule("uba", phi=2.0, warmup=0.1)) == "uba(phi=2, warmup=0.1)"
    assert str(schedule("step")) == "step"
    assert str(schedule("step", milestones=[0.25], floor=0.01)) == "step(milestones=(0.25), floor=0.01)"
    assert str(schedule("refined", values=[1.0] * 101)) == "refined(values=101 values)"
