"""Says of a cell in which no trial did well what may be the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from phitune.search.records.record import Record
from phitune.search.study.cell import Cell


def hopeless(cell: Cell, records: Iterable[Record]) -> str:
    """One line on a cell whose trials all failed or diverged, with the likely reason; empty for every other cell.

    Args:
        cell: The cell.
        records: Its ended trials.
    """
    records = list(records)
    if not records or any(record.status in ("completed", "stopped") for record in records):
        return ""
    diverged = [record for record in records if record.status == "diverged"]
    ends = " or ".join(kind for kind in ("failed", "diverged") if any(record.status == kind for record in records))
    reason, _ = Counter(record.reason for record in records).most_common(1)[0]
    line = f"cell {cell.key}: all {len(records)} trials {ends}: {reason}"
    if not diverged:
        return line
    data = "NaN or infinite numbers in the data"
    lrs = f"too high a base LR (space.base_lr is {cell.base_lr[0]:g} to {cell.base_lr[1]:g})"
    if min(record.steps for record in diverged) <= 1:
        return f"{line}; likely {data}"
    if any(" is nan" in record.reason for record in diverged):
        return f"{line}; likely {lrs}, or {data}"
    return f"{line}; likely {lrs}"
