"""Every family, and one of a user's own, keeps to what a search relies on."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from phitune.trainables.schedules import Parameter, Schedule, families
from phitune.trainables.testing.schedules import ScheduleConformance


class ToZero(ScheduleConformance):
    def end(self, instance: Schedule) -> float:
        return 0.0


class TestUba(ToZero):
    family = "uba"
    bad = ({"phi": 0.0}, {"phi": -1})


class TestRexPhi(ToZero):
    family = "rex-phi"
    bad = ({"phi": 0.0}, {"phi": -1})


class TestRex(ToZero):
    family = "rex"


class TestLinear(ToZero):
    family = "linear"


class TestCosine(ToZero):
    family = "cosine"


class TestStep(ScheduleConformance):
    family = "step"
    bad = (
        *({"factor": value} for value in (0, 1, -0.1)),
        *({"milestones": value} for value in ([], 0.5, [0.5, 0.5], [0.7, 0.5], [0.0, 0.5], [0.5, 1], ["a"], [True])),
    )

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        milestones = st.lists(st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7, 0.99]), min_size=1, unique=True).map(sorted)
        return st.fixed_dictionaries({}, optional={"factor": st.floats(0.01, 0.9), "milestones": milestones})

    def end(self, instance: Any) -> float:
        return float(instance.factor ** len(instance.milestones))


class TestMultiStep(TestStep):
    family = "multistep"


class TestExponential(ScheduleConformance):
    family = "exponential"
    bad = ({"rate": 0}, {"rate": -3.0})

    def end(self, instance: Any) -> float:
        return math.exp(-instance.rate)


class TestPolynomial(ToZero):
    family = "polynomial"
    bad = ({"power": 0}, {"power": -1.0})


class TestSpline(ToZero):
    family = "spline"
    bad = (
        *({name: value} for name in ("time1", "time2") for value in (0.0, 1.0, -0.1)),
        *({name: value} for name in ("lr1", "lr2") for value in (0.0, 1.1, -0.1)),
    )


class TestOneCycle(ScheduleConformance):
    family = "onecycle"
    bad = (
        *({name: value} for name in ("peak", "initial", "low", "high") for value in (-0.1, 1.5)),
        {"peak": 0.0},
        {"peak": 1.0},
        {"initial": 0.0},
        {"final": -0.1},
        {"high": 1.0},
        {"low": 0.9, "high": 0.8},
        {"anneal": "cos"},
        {"cycle_momentum": 1},
    )

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        ends = {"initial": st.floats(0.01, 1.0), "final": st.floats(0.0, 1.0)}
        kinds = {"anneal": st.sampled_from(["linear", "cosine"]), "cycle_momentum": st.booleans()}
        momenta = {"low": st.floats(0.0, 0.85), "high": st.floats(0.85, 0.99)}
        return st.fixed_dictionaries({}, optional={"peak": st.floats(0.01, 0.99), **ends, **kinds, **momenta})

    def start(self, instance: Any) -> float:
        return float(instance.initial)

    def end(self, instance: Any) -> float:
        return float(instance.final)


class TestWsd(ToZero):
    family = "wsd"
    bad = ({"cooldown": 0.0}, {"cooldown": 1.1}, {"shape": "cosine"}, {"shape": None}, {"shape": ["linear"]})

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        optional = {"cooldown": st.floats(0.05, 1.0), "shape": st.sampled_from(["linear", "sqrt"])}
        return st.fixed_dictionaries({}, optional=optional)


class TestSgdr(ToZero):
    family = "sgdr"
    bad = tuple({"restarts": value} for value in (-1, 1.0, True, "2", None))

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional={"restarts": st.integers(0, 6)})


class TestDelayedLinear(ToZero):
    family = "delayed-linear"
    bad = ({"delay": 1.0}, {"delay": -0.1})


class TestInverseSqrt(ScheduleConformance):
    family = "inverse-sqrt"
    bad = ({"timescale": 0.0}, {"timescale": -1})

    def end(self, instance: Any) -> float:
        return math.sqrt(instance.timescale / (1 + instance.timescale))


class TestConstant(ScheduleConformance):
    family = "constant"

    def end(self, instance: Schedule) -> float:
        return 1.0


class TestPlateau(ScheduleConformance):
    family = "plateau"
    bad = (
        *({"factor": value} for value in (0, 1, -0.1)),
        *({"threshold": value} for value in (1, -0.1)),
        *({name: value} for name in ("patience", "checks") for value in (-1, 1.0, True, "2", None)),
        {"checks": 0},
    )

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        numbers = {"factor": st.floats(0.01, 0.9), "threshold": st.floats(0.0, 0.1)}
        return st.fixed_dictionaries(
            {}, optional={**numbers, "patience": st.integers(0, 3), "checks": st.integers(1, 30)}
        )


class TestRefined(ScheduleConformance):
    family = "refined"
    bad = tuple(
        {"values": v} for v in ([], [1.0], [0.5, 0.9], [1.0, 1.1], [1, -0.1], [1, math.nan], [True, 1], 1, "11")
    )

    def parameters(self) -> st.SearchStrategy[dict[str, Any]]:
        values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
        return st.fixed_dictionaries({"values": st.tuples(values, st.integers(0, 12)).map(_with_a_one)})

    def start(self, instance: Any) -> float:
        return float(instance.values[0])

    def end(self, instance: Any) -> float:
        return float(instance.values[-1])


def _with_a_one(drawn: tuple[list[float], int]) -> list[float]:
    values, where = drawn
    return [*values[:where], 1.0, *values[where:]]


@dataclass(frozen=True)
class Circle(Schedule):
    """``u = (1 - x^p)^(1/p)``: a quarter of a circle at p = 2; a family instance up here, with no closed mean."""

    p: float

    family: ClassVar[str] = "tests.trainables.schedules.test_conformance:Circle"
    parameters: ClassVar[dict[str, Parameter]] = {"p": Parameter(0.5, 4.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("p")

    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1.0 - x**self.p) ** (1.0 / self.p)


class TestUsersOwn(ToZero):
    family = Circle.family
    bad = ({"p": 0}, {"q": 1.0})


def test_no_family_is_left_out() -> None:
    suites = [cls for cls in globals().values() if isinstance(cls, type) and issubclass(cls, ScheduleConformance)]
    assert {suite.family for suite in suites if hasattr(suite, "family")} == {*families(), Circle.family}
