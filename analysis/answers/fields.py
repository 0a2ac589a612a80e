"""Fields of an entry of guidelines.json, read with an error that names the key."""

from collections.abc import Mapping
from typing import Any

from phitune.trainables.errors import InputError

Interval = tuple[float, float]


def wrong(key: str, value: object, allowed: str) -> InputError:
    """The error about a value; the message continues the words "a cell"."""
    return InputError(f"whose {key!r} is {value!r}; it must be {allowed}")


def text(values: Mapping[str, Any], key: str) -> str | None:
    """A text, None if the key is missing.

    Raises:
        InputError: Of another kind, as in all functions here.
    """
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise wrong(key, value, "text")
    return value


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A number, None if the key is missing."""
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(key, value, "a number")
    return float(value)


def positive(values: Mapping[str, Any], key: str) -> float | None:
    """A positive number, None if the key is missing."""
    value = number(values, key)
    if value is not None and not value > 0:
        raise wrong(key, value, "positive")
    return value


def count(values: Mapping[str, Any], key: str) -> int:
    """A count, 0 if the key is missing."""
    return int(number(values, key) or 0)


def interval(values: Mapping[str, Any], key: str) -> Interval | None:
    """Two positive numbers, None if the key is missing."""
    ends = values.get(key)
    if ends is None:
        return None
    if not isinstance(ends, list) or len(ends) != 2:
        raise wrong(key, ends, "a list of two numbers")
    low, high = (positive({key: end}, key) for end in ends)
    if low is None or high is None:
        raise wrong(key, ends, "a list of two numbers")
    return low, high


def mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """A mapping, None if the key is missing."""
    value = values.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise wrong(key, value, "a mapping")
    return value
