"""A name with parameters, as data: how a study file names a workload or an optimizer. Knows nothing of torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phitune.trainables.errors import InputError

_LABEL = re.compile(r"(?P<name>[^()]+?)\s*(\((?P<parameters>.*)\))?")
_PARAMETER = re.compile(r'\s*(?P<key>[^\W\d]\w*)\s*=\s*(?P<value>"(\\.|[^"\\])*"|[^,"]*?)\s*(,|$)')
_PLAIN = re.compile(r'[^\s,="\\]([^,="\\]*[^\s,="\\])?')
# Numbers without digits, as YAML writes them; ``nan`` and ``inf`` are words.
_SPECIAL = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf}

Value = str | int | float | bool


@dataclass(frozen=True)
class Spec:
    """A name with parameters.

    Attributes:
        name: Such as ``mlp/digits`` or ``sgd``.
        items: The parameters, sorted by key.
    """

    name: str
    items: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, entry: str | Mapping[str, Any], field: str = "workloads") -> Spec:
        """From a study file's entry: a name, or a mapping with ``name`` and the parameters.

        Args:
            field: The study file's key, for the message.
        """
        if isinstance(entry, str):
            return cls.parse(entry, field)
        values = dict(entry)
        name = values.pop("name", None)
        if not isinstance(name, str):
            raise InputError(f"{field}: {dict(entry)!r} is not allowed; an entry is a name or a mapping with `name`")
        for key, value in values.items():
            if not isinstance(value, Value):
                raise InputError(f"{field}.{name}.{key}: {value!r} is not allowed; it must be a number or a word")
        # YAML takes 1e3 for a word; here it is a number. There is one NaN, which is itself.
        read = {key: _literal(value) if isinstance(value, str) else value for key, value in values.items()}
        return cls(name, tuple(sorted((key, math.nan if value != value else value) for key, value in read.items())))

    @classmethod
    def parse(cls, label: str, field: str = "workloads") -> Spec:
        """From a label such as ``quadratic(kappa=100,noise=0.03)``."""
        match = _LABEL.fullmatch(label.strip())
        if match is None:
            raise InputError(f"{field}: {label!r} is not allowed; write NAME or NAME(key=value,...)")
        values: dict[str, Value] = {}
        text, at = match["parameters"] or "", 0
        while at < len(text):
            part = _PARAMETER.match(text, at)
            if part is None:
                raise InputError(f"{field}: {label!r} is not allowed; write NAME or NAME(key=value,...)")
            value = part["value"]
            values[part["key"]] = json.loads(value) if value.startswith('"') else _literal(value)
            at = part.end()
        return cls(match["name"], tuple(sorted(values.items())))

    @property
    def params(self) -> dict[str, Value]:
        return dict(self.items)

    @property
    def label(self) -> str:
        """One string for tags, tables and the command line; `parse` is its inverse."""
        if not self.items:
            return self.name
        return f"{self.name}({','.join(f'{key}={_text(value)}' for key, value in self.items)})"

    @property
    def entry(self) -> str | dict[str, Value]:
        """The entry of a study file."""
        return {"name": self.name, **self.params} if self.items else self.name


def _text(value: Value) -> str:
    """A value as `Spec.parse` reads it; words that would be read as something else are quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or _literal(value) != value):
        return json.dumps(value)
    return str(value).replace("nan", ".nan").replace("inf", ".inf") if isinstance(value, float) else str(value)


def _literal(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not any(character.isdigit() for character in text):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
