"""Which configurations earn replicates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from search.record import Record

_BEST_OVERALL = 2


def finalists(records: Iterable[Record], mode: Literal["min", "max"]) -> list[Record]:
    """The best completed trial of each family, and the best few whatever their family.

    Args:
        records: The explore trials of one cell.
        mode: Whether a small or a large objective is good.

    Returns:
        Distinct trials, best first; empty if none was completed.
    """
    sign = 1.0 if mode == "min" else -1.0
    ranked = sorted(
        (record for record in records if record.status == "completed"),
        key=lambda record: (sign * record.final["objective"], record.trial.number),
    )
    best_of_family: dict[str, Record] = {}
    for record in ranked:
        best_of_family.setdefault(record.trial.family, record)
    chosen = {record.trial.trial_id for record in [*best_of_family.values(), *ranked[:_BEST_OVERALL]]}
    return [record for record in ranked if record.trial.trial_id in chosen]
