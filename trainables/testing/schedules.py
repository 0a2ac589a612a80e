"""What every schedule family must keep to, as tests. Needs pytest and hypothesis."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.optim import SGD, Adam, Optimizer

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, family, from_dict, schedule

_COMPOSITION: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "warmup": st.floats(0.0, 0.9) | st.integers(0, 30),
        "floor": st.floats(0.0, 0.9),
        "sampling": st.floats(0.01, 1.0)
        | st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(
            lambda points: tuple(sorted(points))
        ),
    },
)
_HORIZONS = st.integers(1, 50)
_LRS = (0.4, 0.01)
_NO_NUMBERS = (math.nan, math.inf, True, "2", None, [1.0])
_BAD_COMPOSITION: tuple[dict[str, Any], ...] = (
    *({name: value} for name in ("warmup", "floor") for value in (-0.1, *_NO_NUMBERS)),
    *({"sampling": value} for value in (math.nan, True, "2", [], 0.0, 1.5, [0.5, 0.5], [0.0, 0.5], [0.5, "1"])),
    *({"warmup": value} for value in (1.0, 2.5, -1)),
    {"floor": 1.0},
)
# A family's class is tested under many subclasses of this suite, which hypothesis would take for a mistake.
_SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
_FEW = settings(_SETTINGS, max_examples=5)
_TRAINED = settings(_SETTINGS, max_examples=12)


class ScheduleConformance:
    """Subclass this in a test file, name the family, and pytest holds it to what a search relies on.

    .. code-block:: python

        class TestMine(ScheduleConformance):
            family = "my_module:MyFamily"
            bad = ({"power": -1},)

    Parameters are drawn from the ranges of the family's ``parameters``; warmup, floor and sampling at random. A family
    with other parameters that have no default overrides `parameters`; one that does not start at 1 overrides `start`.

    Attributes:
        family: The family's name as in a study file.
        bad: Parameters that must be refused; for the searched ones what is no number at all is tried anyway.
    """

    family: ClassVar[str]
    bad: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def start(self, made: Schedule) -> float:
        """The documented profile at x = 0."""
        return 1.0

    def end(self, made: Schedule) -> float | None:
        """The documented profile at x = 1; None if the family documents none."""
        return None

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        """Valid parameters: all without a default, and some of the others."""
        cls = family(self.family)
        drawn = {name: _log_uniform(p.low, p.high) for name, p in cls.parameters.items()}
        required = {name: strategy for name, strategy in drawn.items() if name in cls.required()}
        return st.fixed_dictionaries(required, optional={k: v for k, v in drawn.items() if k not in required})

    def made(self, data: st.DataObject) -> Schedule:
        """Any schedule of the family."""
        return schedule(self.family, **data.draw(self.parameters()), **data.draw(_COMPOSITION))

    def test_family_is_declared_in_full(self) -> None:
        cls = family(self.family)
        assert cls.family == self.family
        assert "__dataclass_params__" in vars(cls), "decorate it with @dataclass(frozen=True)"
        assert (cls.__doc__ or "").strip(), "say in its docstring what it is and where it comes from"
        for name, parameter in cls.parameters.items():
            assert name in cls.own_fields(), f"{name} is no field"
            assert 0 < parameter.low < parameter.high < math.inf, f"{name}: a log-uniform range"

    @_FEW
    @given(data=st.data())
    def test_ends_of_the_ranges_are_allowed(self, data: st.DataObject) -> None:
        valid = data.draw(self.parameters())
        for name, parameter in family(self.family).parameters.items():
            for value in (parameter.low, parameter.high):
                assert schedule(self.family, **{**valid, name: value}).to_dict()[name] == value

    @_SETTINGS
    @given(data=st.data())
    def test_profile_is_between_zero_and_one_and_reaches_one(self, data: st.DataObject) -> None:
        made = self.made(data)
        u = made.profile(np.linspace(0.0, 1.0, 2000).reshape(40, 50))
        assert u.shape == (40, 50)
        assert u.min() >= 0
        assert 0.99 <= u.max() <= 1 + 1e-12

    @_SETTINGS
    @given(data=st.data())
    def test_starts_and_ends_as_documented(self, data: st.DataObject) -> None:
        made = self.made(data)
        first, last = made.profile(np.array([0.0, 1.0]))
        assert first == pytest.approx(self.start(made), abs=1e-12)
        if (end := self.end(made)) is not None:
            assert last == pytest.approx(end, abs=1e-12)

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_warmup_floor_and_sampling_compose_with_the_profile(self, data: st.DataObject, horizon: int) -> None:
        made = self.made(data)
        u = made.u(np.arange(horizon + 3), horizon)
        assert np.all((u >= 0) & (u <= 1 + 1e-12))
        for step, value in enumerate(u):
            allowed = _reference(made, step, horizon)
            assert any(value == pytest.approx(each, abs=1e-7) for each in allowed), f"step {step}: not {allowed[0]}"

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_is_a_pure_function_of_the_step(self, data: st.DataObject, horizon: int) -> None:
        made = self.made(data)
        steps = np.arange(horizon + 3)
        fresh = made.u(steps, horizon)
        assert [float(made.u(int(step), horizon)) for step in steps] == fresh.tolist()
        assert made.u(steps[horizon // 2 :], horizon).tolist() == fresh[horizon // 2 :].tolist()
        assert made.u(np.array([steps, steps[::-1]]), horizon).tolist() == [fresh.tolist(), fresh[::-1].tolist()]
        assert steps.tolist() == list(range(horizon + 3))
        if (momentum := made.momentum(steps, horizon)) is not None:
            assert [float(np.asarray(made.momentum(int(step), horizon))) for step in steps] == momentum.tolist()

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_holds_its_last_value_beyond_the_horizon(self, data: st.DataObject, horizon: int) -> None:
        made = self.made(data)
        assert set(made.u(np.array([horizon + 1, 10 * horizon, 10**9]), horizon)) == {float(made.u(horizon, horizon))}

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_later_observations_do_not_change_earlier_steps(self, data: st.DataObject, horizon: int) -> None:
        made = self.made(data)
        checks = made.check_steps(horizon)
        assert np.all(np.diff(checks) > 0)
        assert np.all((checks > 0) & (checks <= horizon))
        losses = data.draw(st.lists(st.floats(0.0, 10.0), min_size=len(checks), max_size=len(checks)))
        complete = made.u(np.arange(horizon), horizon, losses)
        assert np.all((complete >= 0) & (complete <= 1 + 1e-12))
        for seen, until in enumerate(checks):
            assert made.u(np.arange(until), horizon, losses[:seen]).tolist() == complete[:until].tolist()

    @_SETTINGS
    @given(data=st.data())
    def test_mean_is_the_mean(self, data: st.DataObject) -> None:
        made, horizon = self.made(data), 20_000
        middles = made.u(np.arange(horizon) + 0.5, horizon)
        assert made.mean(horizon) == pytest.approx(float(middles.mean()), abs=1e-3)
        assert 0 < made.mean(1) <= 1
        assert 0 < made.mean(10**8) <= 1

    @_SETTINGS
    @given(data=st.data())
    def test_round_trip_through_dict_and_json(self, data: st.DataObject) -> None:
        made = self.made(data)
        for again in (from_dict(made.to_dict()), from_dict(json.loads(json.dumps(made.to_dict())))):
            assert again == made
            assert hash(again) == hash(made)
            assert str(again) == str(made)

    @_FEW
    @given(data=st.data())
    def test_cannot_be_changed(self, data: st.DataObject) -> None:
        made = self.made(data)
        for field in fields(made):
            with pytest.raises(FrozenInstanceError):
                setattr(made, field.name, getattr(made, field.name))

    @_FEW
    @given(data=st.data())
    def test_bad_values_are_told_in_one_line(self, data: st.DataObject) -> None:
        valid = data.draw(self.parameters())
        no_numbers = [{name: value} for name in family(self.family).parameters for value in _NO_NUMBERS]
        for bad in (*self.bad, *no_numbers, *_BAD_COMPOSITION, {"no_such_parameter": 1.0}):
            with pytest.raises(InputError) as error:
                schedule(self.family, **{**valid, **bad})
            assert "\n" not in str(error.value)
            assert any(str(error.value).startswith(f"{self.family}.{name}: ") for name in bad), str(error.value)

    @_FEW
    @given(data=st.data())
    def test_bad_steps_and_horizons_are_told(self, data: st.DataObject) -> None:
        made = self.made(data)
        for step, horizon in ((0, 0), (-1, 10), (math.nan, 10)):
            with pytest.raises(InputError):
                made.u(step, horizon)
            with pytest.raises(InputError):
                made.momentum(step, horizon)

    @_TRAINED
    @given(data=st.data(), horizon=_HORIZONS, adam=st.booleans())
    def test_torch_scheduler_follows_it_in_every_group(self, data: st.DataObject, horizon: int, adam: bool) -> None:
        made = _for_torch(self.made(data), horizon)
        losses = _losses(data, made, horizon)
        steps = horizon + 3
        lrs, momenta = _torch_run(made, horizon, steps, losses, adam)
        seen = [int(np.sum(made.check_steps(horizon) <= step)) for step in range(steps)]
        u = np.array([float(made.u(step, horizon, losses[:n])) for step, n in enumerate(seen)])
        np.testing.assert_allclose(lrs, np.outer(u, _LRS), rtol=1e-12, atol=1e-15)
        momentum = made.momentum(np.arange(steps), horizon)
        np.testing.assert_array_equal(momenta, np.full(steps, 0.9) if momentum is None else momentum)

    @_TRAINED
    @given(data=st.data(), horizon=_HORIZONS, adam=st.booleans())
    def test_torch_scheduler_resumes_where_it_was(self, data: st.DataObject, horizon: int, adam: bool) -> None:
        made = _for_torch(self.made(data), horizon)
        losses = _losses(data, made, horizon)
        resumed_at = data.draw(st.integers(0, horizon))
        fresh = _torch_run(made, horizon, horizon, losses, adam)
        resumed = _torch_run(made, horizon, horizon, losses, adam, resumed_at)
        assert [part.tolist() for part in resumed] == [part.tolist() for part in fresh]


def _log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(lambda v: min(max(math.exp(v), low), high))


def _reference(made: Schedule, step: int, horizon: int) -> list[float]:
    """u as the docstring of `Schedule` has it, slowly.

    With sampling, x within rounding of a change may lie on either side of it.
    """
    warmup = min(made.warmup if made.warmup >= 1 else round(made.warmup * horizon), horizon - 1)
    x = (min(step, horizon) - warmup) / (horizon - warmup) if step >= warmup else 0.0
    xs = [x]
    if made.sampling is not None:
        apart = made.sampling
        changes = [k * apart for k in range(101)] if isinstance(apart, int | float) else [0.0, *apart]
        xs = [max(c for c in changes if c <= x + slack) for slack in (0.0, 1e-8)]
        xs = [min(max(each + off, 0.0), 1.0) for each in xs for off in (0.0, -1e-9, 1e-9)]
    ramp = (step + 1) / (warmup + 1) if step < warmup else 1.0
    return [ramp * (made.floor + (1 - made.floor) * float(made.profile(np.array(each)))) for each in xs]


def _for_torch(made: Schedule, horizon: int) -> Schedule:
    """Closed-loop families hand over to torch's own scheduler, which has neither warmup nor sampling."""
    return replace(made, warmup=0, sampling=None) if len(made.check_steps(horizon)) else made


def _losses(data: st.DataObject, made: Schedule, horizon: int) -> list[float]:
    count = len(made.check_steps(horizon))
    return data.draw(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=count, max_size=count))


def _torch_run(
    made: Schedule, horizon: int, steps: int, losses: Sequence[float], adam: bool, resumed_at: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LRs, [steps, groups], and momentum, [steps], of a training loop that may be cut and resumed from its states."""
    optimizer = _optimizer(adam)
    scheduler = made.lr_scheduler(optimizer, horizon)
    loss_at = dict(zip(made.check_steps(horizon).tolist(), losses, strict=True))
    lrs, momenta = [], []
    for step in range(steps):
        if step == resumed_at:
            saved = _through_a_file({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})
            optimizer = _optimizer(adam)
            scheduler = made.lr_scheduler(optimizer, horizon)
            optimizer.load_state_dict(saved["optimizer"])
            scheduler.load_state_dict(saved["scheduler"])
        lrs.append([group["lr"] for group in optimizer.param_groups])
        momenta.append(optimizer.param_groups[-1]["betas"][0] if adam else optimizer.param_groups[-1]["momentum"])
        optimizer.step()
        if not loss_at:
            scheduler.step()
        elif step + 1 in loss_at:
            scheduler.step(loss_at[step + 1])
    return np.array(lrs), np.array(momenta)


def _optimizer(adam: bool) -> Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in _LRS]
    return Adam(groups) if adam else SGD(groups, momentum=0.9)


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
