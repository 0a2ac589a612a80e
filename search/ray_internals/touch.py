"""A use of Ray's private API, checked once before the first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import ray

from phitune.trainables.errors import SurroundingsError

TESTED = "2.60"


class Touch:
    """What a concern uses of Ray's private API, and what a search loses without it.

    Args:
        loss: The consequence, as a sentence's end: "trials take longer".
        check: Raises an exception that names what Ray lacks.
    """

    def __init__(self, loss: str, check: Callable[[], None]) -> None:
        self._loss = loss
        self._check = check

    @cached_property
    def missing(self) -> str:
        """What Ray lacks and what follows, in one line; empty if nothing is missing."""
        try:
            self._check()
        except (ImportError, AttributeError, TypeError) as error:
            return f"{_lacks(error)}; {self._loss}"
        return ""


@contextmanager
def needed() -> Iterator[None]:
    """Reports in one line what Ray lacks where nothing works without it.

    Raises:
        SurroundingsError: An import or an attribute inside the context does not exist.
    """
    try:
        yield
    except (ImportError, AttributeError) as error:
        raise SurroundingsError(f"{_lacks(error)}; install the Ray of constraints.txt") from error


def require(owner: object, *names: str) -> None:
    """Raises AttributeError unless an object has all these attributes."""
    for name in names:
        getattr(owner, name)


def require_stored(constructor: Callable[..., None], *names: str) -> None:
    """Raises AttributeError unless a class's ``__init__`` stores all these attributes of its instances."""
    for name in names:
        if name not in constructor.__code__.co_names:
            raise AttributeError(f"{constructor.__qualname__} stores no attribute {name!r}")


def require_fields(message: Any, *names: str) -> None:
    """Raises AttributeError unless a protocol buffer's class has all these fields."""
    for name in names:
        if name not in message.DESCRIPTOR.fields_by_name:
            raise AttributeError(f"{message.__name__} has no field {name!r}")


def _lacks(error: Exception) -> str:
    return f"Ray {ray.__version__} differs from the tested {TESTED} ({' '.join(str(error).split())[:160]})"
