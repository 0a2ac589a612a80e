"""Warm start: the trials of an earlier study, which are evidence for the next one."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from phitune.search.records.journal import read_records
from phitune.search.records.record import Record
from phitune.search.study.model import Cell
from phitune.trainables.errors import InputError
from phitune.trainables.workloads import workload


@dataclass(frozen=True)
class EarlierCell:
    """A cell of an earlier study.

    Attributes:
        group: Workload and optimizer, as in `Cell.group`.
        budget: Iterations T.
        records: Its ended trials.
    """

    group: str
    budget: int
    records: tuple[Record, ...]


def earlier_cells(study: str | None, out: Path, cells: Iterable[Cell]) -> list[EarlierCell]:
    """The earlier study's cells of the same workloads and optimizers, whatever their budgets.

    Args:
        study: The earlier study's output directory, or its name if that lies beside ``out``; None for no study.
        out: The output directory of the study to come.
        cells: Of the study to come.

    Raises:
        InputError: There is no such study, its files are damaged, or its trials were judged by another objective.
    """
    if study is None:
        return []
    places = [Path(study), out.parent / study]
    place = next((place for place in places if (place / "trials.jsonl").is_file()), None)
    if place is None:
        raise InputError(
            f"warm_start: {study!r} is not allowed; it must be a searched study's directory, or its name in "
            f"{str(out.parent)!r}"
        )
    if place.resolve() == out.resolve():
        raise InputError(f"warm_start: {study!r} is not allowed; it is this study")
    wanted = {cell.group: cell for cell in cells}
    cells_there = cells_of(read_records(place / "trials.jsonl"), wanted)
    objective = _objective(place / "study.yaml")
    for group in dict.fromkeys(each.group for each in cells_there):
        cell = wanted[group]
        theirs = objective or workload(cell.workload).objective
        if theirs != cell.objective:
            raise InputError(
                f"warm_start: {study!r} is not allowed; its objective for {group!r} is {theirs}, and this study's is "
                f"{cell.objective}"
            )
    return cells_there


def cells_of(records: Iterable[Record], groups: Container[str]) -> list[EarlierCell]:
    """Records by their cells, as evidence for other cells of the same workloads and optimizers.

    Args:
        records: Of ended trials.
        groups: The workloads and optimizers (`Cell.group`); records of others are left out.
    """
    by_cell: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        group, _, budget = record.trial.cell.rpartition(" ")
        if group in groups:
            by_cell.setdefault((group, int(budget)), []).append(record)
    return [EarlierCell(group, budget, tuple(each)) for (group, budget), each in sorted(by_cell.items())]


def _objective(path: Path) -> str | None:
    """The objective that a study file names; None if it leaves it to the workload."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        objective = values["objective"]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"warm_start: {str(path)!r} is missing or damaged; every searched study has one") from error
    return None if objective is None else str(objective)
