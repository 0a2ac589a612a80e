"""Reads a study file: YAML without duplicate keys, with ``KEY=VALUE`` overrides of the command line."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

from phitune.search.study.families import with_profiles_read
from phitune.search.study.model import Study, parse_study
from phitune.trainables.errors import InputError

_SHIPPED = Path(__file__).parents[1] / "studies"


def read_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Reads and checks a study file.

    Args:
        path: The YAML file, or the name of a study that phitune ships, such as ``quickstart``.
        overrides: ``KEY=VALUE`` strings, dotted keys, values in YAML; they win over the file.

    Raises:
        InputError: No such file, not YAML, or content that is not allowed.
    """
    path = _located(path)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _OneOfEach)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"study file: cannot read {str(path)!r}: {getattr(error, 'strerror', error)}") from error
    except yaml.YAMLError as error:
        raise InputError(f"study file: {str(path)!r} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"study file: {str(path)!r} must hold keys and values, such as `name: my-study`")
    for override in overrides:
        _override(values, override)
    if isinstance(values.get("families"), list):
        values["families"] = with_profiles_read(values["families"], path.parent)
    return parse_study(values)


def _located(path: Path) -> Path:
    """The path, or that of a shipped study of this name where there is no such file."""
    shipped = {file.stem: file for file in _SHIPPED.glob("*.yaml")}
    return path if path.exists() else shipped.get(str(path), path)


class _OneOfEach(yaml.SafeLoader):
    """Refuses a duplicate key, as YAML does; PyYAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise InputError(f"{key}: duplicate key in the study file, again in line {_line(key_node)}")
            seen.append(key)
        return super().construct_mapping(node, deep)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(
            f"--set: {override!r} is not allowed; write KEY=VALUE, such as trials=20 or space.phi=[0.1,10]"
        )
    *parents, last = key.split(".")
    target = values
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise InputError(f"--set: {override!r} is not allowed; {parent!r} holds no keys")
    try:
        target[last] = yaml.load(text, _OneOfEach)
    except yaml.YAMLError as error:
        raise InputError(f"--set: {override!r} is not allowed; the value is not YAML") from error
