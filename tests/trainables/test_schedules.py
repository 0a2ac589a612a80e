"""Schedules against formulas, against torch's own, and against each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedulers

from trainables.errors import InputError
from trainables.schedules import Schedule, families, family, from_dict, schedule

phis = st.floats(0.01, 200.0)
inside = st.floats(0.0, 0.999)


def every() -> list[Schedule]:
    given_parameters = {"uba": [{"phi": 0.3}, {"phi": 2.0}, {"phi": 17.0}], "exponential": [{}, {"rate": 1.5}]}
    return [schedule(name, **p) for name in families() for p in given_parameters.get(name, [{}])]


@given(phi=phis, x=inside)
def test_uba_is_the_tangent_form(phi: float, x: float) -> None:
    """REFERENCES: u = 1 / (1 + φ/2 tan²(πx/2))."""
    u = schedule("uba", phi=phi).profile(np.array(x))
    assert u == pytest.approx(1 / (1 + phi / 2 * math.tan(math.pi * x / 2) ** 2), rel=1e-9)


@given(phi=phis, x=st.floats(0.0, 1.0))
def test_uba_reflects_at_four_over_phi(phi: float, x: float) -> None:
    left = schedule("uba", phi=4 / phi).profile(np.array(x))
    assert left == pytest.approx(1 - schedule("uba", phi=phi).profile(np.array(1 - x)), abs=1e-9)


@given(phi=phis)
def test_uba_midpoint_and_end(phi: float) -> None:
    uba = schedule("uba", phi=phi)
    assert uba.profile(np.array(0.5)) == pytest.approx(2 / (2 + phi))
    assert uba.profile(np.array(1.0)) == pytest.approx(0.0, abs=1e-12)


def test_uba_at_two_is_cosine() -> None:
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(schedule("uba", phi=2.0).profile(x), schedule("cosine").profile(x), atol=1e-15)


@pytest.mark.parametrize(
    ("phi", "mean", "late"),
    [(0.25, 0.739, 0.167), (0.5, 0.667, 0.091), (1, 0.586, 0.048), (5, 0.387, 0.0099), (10, 0.309, 0.0050)],
)
def test_uba_published_table(phi: float, mean: float, late: float) -> None:
    uba = schedule("uba", phi=phi)
    assert uba.mean == pytest.approx(mean, abs=6e-4)
    assert uba.profile(np.array(0.9)) == pytest.approx(late, abs=6e-4)


def test_uba_is_the_chebyshev_step_size() -> None:
    """Sorted Chebyshev minimax steps for [λl, λu] are UBA with φ = 2κ between 1/λl and 1/λu, at half-step nodes."""
    low, high, horizon = 0.02, 1.0, 50
    theta = (2 * np.arange(1, horizon + 1) - 1) * np.pi / (2 * horizon)
    chebyshev = 2 / ((high + low) - (high - low) * np.cos(theta))
    u = schedule("uba", phi=2 * high / low).profile(theta / np.pi)
    np.testing.assert_allclose(np.sort(chebyshev)[::-1], (1 / low - 1 / high) * u + 1 / high, rtol=1e-9)


def test_rex_published_values() -> None:
    rex = schedule("rex")
    assert rex.profile(np.array(0.9)) == pytest.approx(0.1 / 0.55)
    assert rex.mean == pytest.approx(0.614, abs=5e-4)


@pytest.mark.parametrize("each", every(), ids=str)
def test_profile_starts_at_one_and_stays_in_range(each: Schedule) -> None:
    u = each.u(np.arange(1001), 1000)
    assert u[0] == pytest.approx(1.0)
    assert np.all(np.diff(u) <= 1e-12)
    assert np.all((u >= 0) & (u <= 1))


@pytest.mark.parametrize("each", every(), ids=str)
def test_mean_is_the_integral(each: Schedule) -> None:
    midpoints = (np.arange(100_000) + 0.5) / 100_000
    assert each.mean == pytest.approx(each.profile(midpoints).mean(), rel=1e-4)


@pytest.mark.parametrize("each", every(), ids=str)
def test_vector_equals_scalar_and_resumes_purely(each: Schedule) -> None:
    horizon = 37
    fresh = each.u(np.arange(horizon), horizon)
    assert [float(each.u(step, horizon)) for step in range(horizon)] == pytest.approx(fresh.tolist(), abs=0)
    assert each.u(np.arange(20, horizon), horizon).tolist() == fresh[20:].tolist()


@pytest.mark.parametrize("each", every(), ids=str)
def test_round_trip(each: Schedule) -> None:
    assert from_dict(each.to_dict()) == each


@pytest.mark.parametrize("each", every(), ids=str)
def test_torch_scheduler_follows_the_profile_in_every_group(each: Schedule) -> None:
    horizon = 20
    optimizer = _optimizer(0.4, 0.1)
    scheduler = each.lr_scheduler(optimizer, horizon)
    for step in range(horizon + 5):
        expected = float(each.u(min(step, horizon), horizon))
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4 * expected, 0.1 * expected])
        optimizer.step()
        scheduler.step()


def test_torch_scheduler_resumes_from_its_state() -> None:
    uba = schedule("uba", phi=3.0)
    optimizer = _optimizer(0.4)
    scheduler = uba.lr_scheduler(optimizer, 30)
    for _ in range(11):
        optimizer.step()
        scheduler.step()
    other = _optimizer(0.4)
    resumed = uba.lr_scheduler(other, 30)
    resumed.load_state_dict(scheduler.state_dict())
    other.load_state_dict(optimizer.state_dict())
    for _ in range(15):
        for o, s in ((optimizer, scheduler), (other, resumed)):
            o.step()
            s.step()
        assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("name", ["cosine", "linear", "exponential", "step", "constant"])
def test_equals_torchs_own_step_by_step(name: str) -> None:
    horizon = 40
    ours, theirs = _optimizer(0.3), _optimizer(0.3)
    makers = {
        "cosine": lambda o: torch_schedulers.CosineAnnealingLR(o, T_max=horizon),
        "linear": lambda o: torch_schedulers.LinearLR(o, 1.0, 0.0, total_iters=horizon),
        "exponential": lambda o: torch_schedulers.ExponentialLR(o, gamma=math.exp(-3.0 / horizon)),
        "step": lambda o: torch_schedulers.MultiStepLR(o, [horizon // 2, 3 * horizon // 4], gamma=0.1),
        "constant": lambda o: torch_schedulers.ConstantLR(o, factor=1.0),
    }
    schedulers = (schedule(name).lr_scheduler(ours, horizon), makers[name](theirs))
    for _ in range(horizon):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
        for optimizer, scheduler in zip((ours, theirs), schedulers, strict=True):
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("uba", {}, "uba.phi: missing"),
        ("uba", {"phi": 0.0}, "uba.phi: 0.0 is not allowed"),
        ("uba", {"phi": math.nan}, "uba.phi: nan is not allowed"),
        ("uba", {"phi": "two"}, "uba.phi: 'two' is not allowed"),
        ("uba", {"phy": 1.0}, "uba.phy: unknown parameter"),
        ("linear", {"phi": 1.0}, "linear.phi: unknown parameter"),
        ("exponential", {"rate": -1.0}, "exponential.rate: -1.0 is not allowed"),
        ("cosin", {}, "did you mean 'cosine'?"),
    ],
)
def test_bad_parameters_are_told(name: str, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as error:
        schedule(name, **parameters)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_horizon_and_step_are_told() -> None:
    with pytest.raises(InputError, match="horizon: 0"):
        schedule("linear").u(0, 0)
    with pytest.raises(InputError, match="step: -1"):
        schedule("linear").u(-1, 10)


def test_searched_parameters_are_fields() -> None:
    for name in families():
        for key, parameter in family(name).parameters.items():
            assert schedule(name, **{key: parameter.low}).to_dict()[key] == parameter.low


def _optimizer(*lrs: float) -> torch.optim.SGD:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=lrs[0])
