"""Validation errors of a study file as one line, in words of the file rather than of Python."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from phitune.search.study.sections import Asha, Auto, Composition, Diagnostics, Failures, Resources, Space
from phitune.trainables.suggestion import did_you_mean

# Names that pydantic adds to a location for the branches of a union.
_LITERALS = ("literal['asha','predict','none']", "literal['auto']")
_NUMBER = "constrained-int"
_BRANCHES = ("str", "int", "float", "dict[str,any]", "list[union[float,str]]", *_LITERALS, _NUMBER, "Asha", "Auto")

_SECTIONS: dict[str, type[BaseModel]] = {
    "space": Space,
    "schedule": Composition,
    "diagnostics": Diagnostics,
    "early_stopping": Asha,
    "trials": Auto,
    "resources": Resources,
    "failures": Failures,
}


def one_line(error: ValidationError, study: type[BaseModel]) -> str:
    """The first complaint as one line: field, value, what is allowed.

    Args:
        error: Of a study file or a part of it.
        study: The model of a whole study file.
    """
    # For a mapping, that it is not one of the allowed words or no number is no useful complaint.
    plain = {*_LITERALS, _NUMBER}
    complaints = [e for e in error.errors() if not (plain & set(e["loc"]) and isinstance(e["input"], dict))]
    # A missing key may be there under a wrong name.
    first = min(complaints, key=lambda complaint: complaint["type"] == "missing")
    where = [part for part in first["loc"] if part not in _BRANCHES]
    path = ".".join(str(part) for part in where)
    section = _SECTIONS.get(str(where[0]), study) if len(where) > 1 else study
    if first["type"] == "extra_forbidden":
        known = list(section.model_fields)
        return f"{path}: unknown key;{did_you_mean(str(where[-1]), known)} keys here: {', '.join(known)}"
    if first["type"] == "missing":
        return f"{path}: missing; a study file needs `name` and `workloads`"
    return f"{path}: {first['input']!r} is not allowed; {_allowed(first, str(where[-1]))}"


def _allowed(complaint: ErrorDetails, key: str) -> str:
    """The values a field takes, in words of a study file rather than of Python."""
    if complaint["type"] == "model_type" or (complaint["type"] == "dict_type" and key in _SECTIONS):
        return f"it must hold keys, of these: {', '.join(_SECTIONS[key].model_fields)}"
    if key == "trials" and complaint["type"] == "int_type":
        return "it must be a whole number, auto or {most: 100}"
    if complaint["type"] == "tuple_type":
        return "it must be a range of two numbers, such as [0.1, 10]"
    if complaint["type"] == "list_type":
        return "it must be a list, such as [a, b]"
    reason = complaint["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
    return f"{reason[0].lower()}{reason[1:]}"
