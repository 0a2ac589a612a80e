"""Requests of a training to its caller: one step, or one evaluation, at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from phitune.trainables.workloads.base import Split


class Step(NamedTuple):
    """Request for one iteration; the answer is its loss, a number or an object that `float` turns into one."""

    lr: float
    momentum: float | None


class Evaluate(NamedTuple):
    """Request for an `Evaluation`."""

    split: Split
    averaged: bool


Request: TypeAlias = Step | Evaluate
_Result = TypeVar("_Result")


def serve(requests: Generator[Request, Any, _Result], answer: Callable[[Request], Any]) -> _Result:
    """Runs a generator of requests to its end and returns its result.

    An error of ``answer`` is raised inside the generator, at the request that it failed to answer.
    """
    try:
        request = next(requests)
        while True:
            try:
                response = answer(request)
            except Exception as error:
                request = requests.throw(error)
            else:
                request = requests.send(response)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
