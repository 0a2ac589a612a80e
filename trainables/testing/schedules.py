"""Conformance tests that every schedule family passes, a user's too. Needs pytest and hypothesis."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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
# Many subclasses share these tests, which hypothesis would otherwise report as a mistake.
_SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
_FEW = settings(_SETTINGS, max_examples=5)
_TRAINED = settings(_SETTINGS, max_examples=12)


class ScheduleConformance:
    """Tests of a family's contract: subclass it in a test file and name the family.

    .. code-block:: python

        class TestMine(ScheduleConformance):
            family = "my_module:MyFamily"
            bad = ({"power": -1},)

    Hypothesis draws parameters from the ranges of the family's ``parameters``, and warmup, floor and sampling. A family
    with other parameters that have no default overrides `parameters`; one that does not start at 1 overrides `start`.

    Attributes:
        family: The family's name as in a study file.
        bad: Parameters that must be refused; values that are no numbers are always tried for the searched ones.
    """

    family: ClassVar[str]
    bad: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def start(self, instance: Schedule) -> float:
        """The documented profile at x = 0."""
        return 1.0

    def end(self, instance: Schedule) -> float | None:
        """The documented profile at x = 1; None if the family documents none."""
        return None

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        """Strategy of valid parameters: all without a default, and some of the others."""
        cls = family(self.family)
        strategies = {name: _log_uniform(p.low, p.high) for name, p in cls.parameters.items()}
        required = {name: strategy for name, strategy in strategies.items() if name in cls.required()}
        return st.fixed_dictionaries(required, optional={k: v for k, v in strategies.items() if k not in required})

    def draw_schedule(self, data: st.DataObject) -> Schedule:
        """A schedule of the family with random parameters, warmup, floor and sampling."""
        return schedule(self.family, **{**data.draw(_COMPOSITION), **data.draw(self.parameters())})

    def test_family_is_declared_in_full(self) -> None:
        cls = family(self.family)
        assert cls.family == self.family
        assert "__dataclass_params__" in vars(cls), "decorate it with @dataclass(frozen=True)"
        assert (cls.__doc__ or "").strip(), "say in its docstring what it is and where it comes from"
        for name, parameter in cls.parameters.items():
            assert name in cls.__dataclass_fields__, f"{name} is no field"
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
        instance = self.draw_schedule(data)
        u = instance.profile(np.linspace(0.0, 1.0, 2000).reshape(40, 50))
        assert u.shape == (40, 50)
        assert u.min() >= 0
        assert 0.99 <= u.max() <= 1 + 1e-12

    @_SETTINGS
    @given(data=st.data())
    def test_starts_and_ends_as_documented(self, data: st.DataObject) -> None:
        instance = self.draw_schedule(data)
        first, last = instance.profile(np.array([0.0, 1.0]))
        assert first == pytest.approx(self.start(instance), abs=1e-12)
        if (end := self.end(instance)) is not None:
            assert last == pytest.approx(end, abs=1e-12)

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_warmup_floor_and_sampling_compose_with_the_profile(self, data: st.DataObject, horizon: int) -> None:
        instance = self.draw_schedule(data)
        u = instance.u(np.arange(horizon + 3), horizon)
        assert np.all((u >= 0) & (u <= 1 + 1e-12))
        for step, value in enumerate(u):
            allowed = _reference(instance, step, horizon)
            assert any(value == pytest.approx(each, abs=1e-7) for each in allowed), f"step {step}: not {allowed[0]}"

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_is_a_pure_function_of_the_step(self, data: st.DataObject, horizon: int) -> None:
        instance = self.draw_schedule(data)
        steps = np.arange(horizon + 3)
        fresh = instance.u(steps, horizon)
        assert [float(instance.u(int(step), horizon)) for step in steps] == fresh.tolist()
        assert instance.u(steps[horizon // 2 :], horizon).tolist() == fresh[horizon // 2 :].tolist()
        assert instance.u(np.array([steps, steps[::-1]]), horizon).tolist() == [fresh.tolist(), fresh[::-1].tolist()]
        assert steps.tolist() == list(range(horizon + 3))
        if (momentum := instance.momentum(steps, horizon)) is not None:
            assert [float(np.asarray(instance.momentum(int(step), horizon))) for step in steps] == momentum.tolist()

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_holds_its_last_value_beyond_the_horizon(self, data: st.DataObject, horizon: int) -> None:
        instance = self.draw_schedule(data)
        assert set(instance.u(np.array([horizon + 1, 10 * horizon, 10**9]), horizon)) == {
            float(instance.u(horizon, horizon))
        }

    @_SETTINGS
    @given(data=st.data(), horizon=_HORIZONS)
    def test_later_observations_do_not_change_earlier_steps(self, data: st.DataObject, horizon: int) -> None:
        instance = self.draw_schedule(data)
        checks = instance.check_steps(horizon)
        assert np.all(np.diff(checks) > 0)
        assert np.all((checks > 0) & (checks <= horizon))
        losses = data.draw(st.lists(st.floats(0.0, 10.0), min_size=len(checks), max_size=len(checks)))
        complete = instance.u(np.arange(horizon), horizon, losses)
        assert np.all((complete >= 0) & (complete <= 1 + 1e-12))
        for seen, until in enumerate(checks):
            assert instance.u(np.arange(until), horizon, losses[:seen]).tolist() == complete[:until].tolist()

    @_SETTINGS
    @given(data=st.data())
    def test_mean_is_the_mean(self, data: st.DataObject) -> None:
        instance, horizon = self.draw_schedule(data), 20_000
        middles = instance.u(np.arange(horizon) + 0.5, horizon)
        assert instance.mean(horizon) == pytest.approx(float(middles.mean()), abs=1e-3)
        assert 0 < instance.mean(1) <= 1
        assert 0 < instance.mean(10**8) <= 1

    @_SETTINGS
    @given(data=st.data())
    def test_round_trip_through_dict_and_json(self, data: st.DataObject) -> None:
        instance = self.draw_schedule(data)
        for again in (from_dict(instance.to_dict()), from_dict(json.loads(json.dumps(instance.to_dict())))):
            assert again == instance
            assert hash(again) == hash(instance)
            assert str(again) == str(instance)

    @_FEW
    @given(data=st.data())
    def test_cannot_be_changed(self, data: st.DataObject) -> None:
        instance = self.draw_schedule(data)
        for field in fields(instance):
            with pytest.raises(FrozenInstanceError):
                setattr(instance, field.name, getattr(instance, field.name))

    @_FEW
    @given(data=st.data())
    def test_bad_values_are_refused_in_one_line(self, data: st.DataObject) -> None:
        valid = data.draw(self.parameters())
        no_numbers = [{name: value} for name in family(self.family).parameters for value in _NO_NUMBERS]
        for bad in (*self.bad, *no_numbers, *_BAD_COMPOSITION, {"no_such_parameter": 1.0}):
            with pytest.raises(InputError) as error:
                schedule(self.family, **{**valid, **bad})
            assert "\n" not in str(error.value)
            assert any(str(error.value).startswith(f"{self.family}.{name}: ") for name in bad), str(error.value)

    @_FEW
    @given(data=st.data())
    def test_bad_steps_and_horizons_are_refused(self, data: st.DataObject) -> None:
        instance = self.draw_schedule(data)
        for step, horizon in ((0, 0), (-1, 10), (math.nan, 10)):
            with pytest.raises(InputError):
                instance.u(step, horizon)
            with pytest.raises(InputError):
                instance.momentum(step, horizon)

    @_TRAINED
    @given(data=st.data(), horizon=_HORIZONS, adam=st.booleans())
    def test_torch_scheduler_follows_it_in_every_group(self, data: st.DataObject, horizon: int, adam: bool) -> None:
        instance = _without_composition(self.draw_schedule(data), horizon)
        losses = _losses(data, instance, horizon)
        steps = horizon + 3
        with nullcontext() if losses else pytest.warns(UserWarning, match=f"of a schedule of {horizon}"):
            lrs, momenta = _torch_run(instance, horizon, steps, losses, adam)
        seen = [int(np.sum(instance.check_steps(horizon) <= step)) for step in range(steps)]
        u = np.array([float(instance.u(step, horizon, losses[:n])) for step, n in enumerate(seen)])
        np.testing.assert_allclose(lrs, np.outer(u, _LRS), rtol=1e-12, atol=1e-15)
        momentum = instance.momentum(np.arange(steps), horizon)
        np.testing.assert_array_equal(momenta, np.full(steps, 0.9) if momentum is None else momentum)

    @_TRAINED
    @given(data=st.data(), horizon=_HORIZONS, adam=st.booleans())
    def test_torch_scheduler_resumes_where_it_was(self, data: st.DataObject, horizon: int, adam: bool) -> None:
        instance = _without_composition(self.draw_schedule(data), horizon)
        losses = _losses(data, instance, horizon)
        resumed_at = data.draw(st.integers(0, horizon))
        fresh = _torch_run(instance, horizon, horizon, losses, adam)
        resumed = _torch_run(instance, horizon, horizon, losses, adam, resumed_at)
        assert [part.tolist() for part in resumed] == [part.tolist() for part in fresh]


def _log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(lambda v: min(max(math.exp(v), low), high))


def _reference(instance: Schedule, step: int, horizon: int) -> list[float]:
    """u by the docstring of `Schedule`, in plain Python.

    With sampling, x within rounding of a change may lie on either side of it.
    """
    warmup = min(instance.warmup if instance.warmup >= 1 else round(instance.warmup * horizon), horizon - 1)
    x = (min(step, horizon) - warmup) / (horizon - warmup) if step >= warmup else 0.0
    xs = [x]
    if instance.sampling is not None:
        apart = instance.sampling
        changes = [k * apart for k in range(101)] if isinstance(apart, int | float) else [0.0, *apart]
        xs = [max(c for c in changes if c <= x + slack) for slack in (0.0, 1e-8)]
        xs = [min(max(each + off, 0.0), 1.0) for each in xs for off in (0.0, -1e-9, 1e-9)]
    ramp = (step + 1) / (warmup + 1) if step < warmup else 1.0
    return [ramp * (instance.floor + (1 - instance.floor) * float(instance.profile(np.array(each)))) for each in xs]


def _without_composition(instance: Schedule, horizon: int) -> Schedule:
    """A closed-loop schedule without warmup and sampling, which torch's own scheduler does not have."""
    return replace(instance, warmup=0, sampling=None) if len(instance.check_steps(horizon)) else instance


def _losses(data: st.DataObject, instance: Schedule, horizon: int) -> list[float]:
    count = len(instance.check_steps(horizon))
    return data.draw(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=count, max_size=count))


def _torch_run(
    instance: Schedule, horizon: int, steps: int, losses: Sequence[float], adam: bool, resumed_at: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LRs [steps, groups] and momentum [steps] of a training loop, interrupted and resumed at ``resumed_at`` if set."""
    optimizer = _optimizer(adam)
    scheduler = instance.lr_scheduler(optimizer, horizon)
    loss_at = dict(zip(instance.check_steps(horizon).tolist(), losses, strict=True))
    lrs, momenta = [], []
    for step in range(steps):
        if step == resumed_at:
            saved = _through_a_file({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})
            optimizer = _optimizer(adam)
            scheduler = instance.lr_scheduler(optimizer, horizon)
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
