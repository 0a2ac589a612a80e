"""Warm start: the trials of an earlier study, which are evidence for the next one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from phitune.search.records.journal import Follower
from phitune.search.records.record import Record
from phitune.search.study.model import Cell
from phitune.trainables.errors import InputError


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
        InputError: There is no such study, or it has no trials.
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
    wanted = {cell.group for cell in cells}
    records: dict[tuple[str, int], list[Record]] = {}
    for record in Follower(place / "trials.jsonl").read():
        group, _, budget = record.trial.cell.rpartition(" ")
        if group in wanted:
            records.setdefault((group, int(budget)), []).append(record)
    return [EarlierCell(group, budget, tuple(each)) for (group, budget), each in sorted(records.items())]
