"""What may be a function workload, and one clear line for what may not."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import phitune
from phitune.search.study.sections import FunctionEntry
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Workload
from phitune.trainables.workloads.function import ENTRY_KEYS, function, is_function


def plain(trial: phitune.Trial, width: int = 64, *, depth: int) -> None: ...


def unnamed(t: phitune.Trial) -> None: ...


def unannotated(trial, **anything): ...  # type: ignore[no-untyped-def]


def no_trial(width: int = 64) -> None: ...


def nothing() -> None: ...


def by_position(trial: phitune.Trial, width: int, /) -> None: ...


def takes_a_key(trial: phitune.Trial, base_lr: float = 0.1) -> None: ...


class NoFunction:
    def __init__(self, trial: phitune.Trial) -> None: ...


class Own(Workload): ...


number = 3


def spec(name: str, **values: Any) -> Spec:
    return Spec.of({"name": f"{__name__}:{name}", **values})


def test_arguments_reach_the_function_by_name() -> None:
    assert function(spec("plain", depth=3)).parameters == {"width": 64, "depth": inspect.Parameter.empty}
    assert function(spec("plain", depth=3)).arguments == {"depth": 3}
    assert function(spec("unannotated", whatever=1)).arguments == {"whatever": 1}
    assert function(spec("unnamed")).arguments == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (spec("no_trial"), "workload: HERE:no_trial takes 'width' first; a function's first parameter must be the tri"),
        (spec("nothing"), "workload: HERE:nothing has no parameter; a function's first parameter must be the trial, "),
        (spec("by_position"), "workload: HERE:by_position takes 'width' by position; a study gives arguments by name"),
        (spec("takes_a_key"), "workloads.HERE:takes_a_key.base_lr: the function has a parameter of this name, which"),
        (spec("NoFunction"), "workload: 'HERE:NoFunction' is not allowed; it must be a function of a phitune.Trial, "),
        (spec("number"), "workload: 'HERE:number' is not allowed; it must be a function of a phitune.Trial, or a sub"),
        (spec("plain"), "workloads.HERE:plain.depth: missing; the function has no default for it"),
        (
            spec("plain", depth=1, widht=3),
            "workloads.HERE:plain.widht: unknown parameter; did you mean 'width'? HERE:plain takes: width, depth",
        ),
        (
            spec("plain", depth=1, fullbudget=3),
            "workloads.HERE:plain.fullbudget: unknown parameter; did you mean 'full_budget'? HERE:plain takes: width",
        ),
    ],
)
def test_what_is_no_function_of_a_trial_costs_one_clear_line(entry: Spec, message: str) -> None:
    with pytest.raises(InputError) as error:
        function(entry)
    assert str(error.value).startswith(message.replace("HERE", __name__))


def test_a_class_is_no_function() -> None:
    assert is_function(f"{__name__}:plain")
    assert not is_function(f"{__name__}:Own")
    assert not is_function("mlp/digits")


def test_no_key_of_an_entry_can_be_an_argument() -> None:
    assert {*ENTRY_KEYS} == {*FunctionEntry.model_fields, "resources"}
