"""The best trials of a cell, and which of them earn replicates."""

from __future__ import annotations

from collections.abc import Iterable

from phitune.search.records.record import Mode, Record

_BEST_OVERALL = 2


def best_of_families(records: Iterable[Record], mode: Mode) -> dict[str, Record]:
    """The best completed explore trial of each family, by its label; among equals the first."""
    best: dict[str, Record] = {}
    for record in records:
        if record.beats(best.get(record.trial.family), mode):
            best[record.trial.family] = record
    return best


def finalists(records: Iterable[Record], mode: Mode) -> list[Record]:
    """The best completed explore trial of each family, and the best few whatever their family.

    Args:
        records: The trials of one cell.
        mode: Whether a small or a large objective is good.

    Returns:
        Distinct trials, best first; empty if none was completed.
    """
    comparable = (record for record in records if record.comparable)
    ranked = sorted(comparable, key=lambda record: (record.cost(mode), record.trial.number))
    best = [*best_of_families(ranked, mode).values(), *ranked[:_BEST_OVERALL]]
    chosen = {record.trial.trial_id for record in best}
    return [record for record in ranked if record.trial.trial_id in chosen]
