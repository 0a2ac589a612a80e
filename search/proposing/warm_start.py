"""Warm start: the trials of earlier studies, which are evidence for the next one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from phitune.search.records.journal import read_records
from phitune.search.records.record import Record
from phitune.search.study.cell import Cell
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload


@dataclass(frozen=True)
class EarlierCell:
    """A cell of an earlier study.

    Attributes:
        group: Workload and optimizer, as in `Cell.group`.
        budget: Iterations T.
        records: Its ended trials.
        name: The workload's name without parameters.
        mode: Whether a small ("min") or a large ("max") objective is good.
        exact: Whether trials have no seed noise.
    """

    group: str
    budget: int
    records: tuple[Record, ...]
    name: str
    mode: str
    exact: bool


def earlier_cells(studies: Iterable[str], out: Path, cells: Iterable[Cell]) -> list[EarlierCell]:
    """The cells of earlier studies, whatever their budgets: of the same workloads and optimizers, and of others.

    Args:
        studies: Each one's output directory, its name if that lies beside ``out``, or its report's guidelines.json.
        out: The output directory of the study to come.
        cells: Of the study to come.

    Raises:
        InputError: There is no such study, its files are damaged, or its trials of a workload and optimizer of the
            study to come were judged by another objective.
    """
    wanted = {cell.group: cell for cell in cells}
    return [each for study in studies for each in _cells_of(study, out, wanted)]


def _cells_of(study: str, out: Path, wanted: Mapping[str, Cell]) -> list[EarlierCell]:
    place = _directory(study, out)
    facts, objective = _facts(place / "study.json"), _objective(place / "study.yaml")
    found = cells_of(read_records(place / "trials.jsonl"), wanted, facts)
    for group in dict.fromkeys(each.group for each in found if each.group in wanted):
        cell = wanted[group]
        theirs = objective or workload(cell.workload).objective
        if theirs != cell.objective:
            raise InputError(
                f"warm_start: {study!r} is not allowed; its objective for {group!r} is {theirs}, and this study's is "
                f"{cell.objective}"
            )
    return found


def cells_of(
    records: Iterable[Record], groups: Mapping[str, Cell], facts: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> list[EarlierCell]:
    """Records by their cells, as evidence for other cells.

    Args:
        records: Of ended trials.
        groups: A cell of each workload and optimizer (`Cell.group`) whose records are wanted.
        facts: Of cells whose records are wanted too, by key: what study.json says of them.
    """
    by_cell: dict[str, list[Record]] = {}
    for record in records:
        by_cell.setdefault(record.trial.cell, []).append(record)
    found = []
    for key, each in by_cell.items():
        group, _, budget = key.rpartition(" ")
        if (cell := groups.get(group)) is not None:
            about = cell.workload.name, str(cell.mode), cell.deterministic
        elif (values := facts.get(key)) is not None:
            about = Spec.parse(values["workload"]).name, values["mode"], bool(values["deterministic"])
        else:
            continue
        found.append(EarlierCell(group, int(budget), tuple(each), *about))
    return sorted(found, key=lambda cell: (cell.group, cell.budget))


def _directory(study: str, out: Path) -> Path:
    """The output directory of an earlier study."""
    named = Path(study)
    places = [named.parent.parent] if named.name == "guidelines.json" else [named, out.parent / study]
    place = next((place for place in places if (place / "trials.jsonl").is_file()), None)
    if place is None:
        raise InputError(
            f"warm_start: {study!r} is not allowed; it must be a searched study's directory, its name in "
            f"{str(out.parent)!r}, or its report/guidelines.json"
        )
    if place.resolve() == out.resolve():
        raise InputError(f"warm_start: {study!r} is not allowed; it is this study")
    return place


def _facts(path: Path) -> dict[str, dict[str, Any]]:
    """What a study's file says of its cells, by key; nothing where it is missing."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {str(key): dict(values) for key, values in cells.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"warm_start: {str(path)!r} is damaged; every searched study has one") from error


def _objective(path: Path) -> str | None:
    """The objective that a study file names; None if it leaves it to the workload."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        objective = values["objective"]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"warm_start: {str(path)!r} is missing or damaged; every searched study has one") from error
    return None if objective is None else str(objective)
