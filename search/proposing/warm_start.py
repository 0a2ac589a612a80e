"""Warm start: the best trials of an earlier study."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from phitune.search.proposing.finalists import best_of_families
from phitune.search.records.journal import Follower
from phitune.search.records.record import Record
from phitune.search.study.model import Cell
from phitune.trainables.errors import InputError


@dataclass(frozen=True)
class EarlierCell:
    """A cell of an earlier study, of the same workload and optimizer.

    Attributes:
        name: Study and cell.
        records: The best completed explore trial of each family, by its label.
    """

    name: str
    records: dict[str, Record]

    def best(self, label: str) -> Record | None:
        """The best completed trial of a family."""
        return self.records.get(label)


def earlier_cells(study: str | None, out: Path, cells: Iterable[Cell]) -> dict[str, EarlierCell]:
    """For each cell the earlier study's cell of the same workload and optimizer whose budget is nearest.

    Args:
        study: The earlier study's output directory, or its name if that lies beside ``out``; None for no study.
        out: The output directory of the study to come.

    Returns:
        By cell key; cells without a counterpart are missing.

    Raises:
        InputError: There is no such study, or it has no trials.
    """
    if study is None:
        return {}
    places = [Path(study), out.parent / study]
    place = next((place for place in places if (place / "trials.jsonl").is_file()), None)
    if place is None:
        raise InputError(
            f"warm_start: {study!r} is not allowed; it must be a searched study's directory, or its name in "
            f"{str(out.parent)!r}"
        )
    if place.resolve() == out.resolve():
        raise InputError(f"warm_start: {study!r} is not allowed; it is this study")
    completed: dict[str, list[Record]] = {}
    for record in Follower(place / "trials.jsonl").read():
        if record.comparable:
            completed.setdefault(record.trial.cell, []).append(record)
    nearest: dict[str, EarlierCell] = {}
    for cell in cells:
        key = _nearest(cell, completed)
        if key is not None:
            nearest[cell.key] = EarlierCell(f"{place.name}: {key}", best_of_families(completed[key], cell.mode))
    return nearest


def _nearest(cell: Cell, keys: Iterable[str]) -> str | None:
    """The key of the cell of the same workload and optimizer whose budget is nearest, as a ratio."""
    group, _, _ = cell.key.rpartition(" ")
    same = {int(key.rpartition(" ")[2]): key for key in keys if key.rpartition(" ")[0] == group}
    return same[min(same, key=lambda budget: abs(math.log(budget / cell.budget)))] if same else None
