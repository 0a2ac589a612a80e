"""How well the rungs of a study's ladders foretold the end; measured on the trials that were not stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phitune.analysis.surrogate.rungs import rung_correlation
from phitune.search.records.record import Record

# Fewer trials than this say nothing about a ladder.
ENOUGH = 10
# Rank correlation below which a rung is called poor.
POOR = 0.5


@dataclass(frozen=True)
class RungQuality:
    """How a rung judged the trials of one family, or of all.

    Attributes:
        rung: Its number, from 1.
        family: The family's label; None for all families together.
        correlation: Mean over the study's cells of `rung_correlation`, the number that the report shows, each cell
            weighted by its trials; cells without a correlation are left out.
        trials: Completed explore trials of these cells.
    """

    rung: int
    family: str | None
    correlation: float
    trials: int

    @property
    def poor(self) -> bool:
        """Whether there are enough trials to call the rung a bad judge."""
        return self.trials >= ENOUGH and self.correlation < POOR


def ladder_quality(records: Iterable[Record]) -> list[RungQuality]:
    """Quality of every rung, first for all families together, then for each, over the explore trials of a study."""
    cells: dict[tuple[int, str | None], dict[str, list[tuple[float, float]]]] = {}
    for record in records:
        if not record.comparable:
            continue
        for rung, (_, value) in enumerate(record.rungs, start=1):
            for family in (None, record.trial.family):
                pairs = cells.setdefault((rung, family), {}).setdefault(record.trial.cell, [])
                pairs.append((value, record.final["objective"]))
    qualities = []
    for (rung, family), pairs_of_cells in sorted(cells.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        correlations = [(rung_correlation(*zip(*pairs, strict=True)), len(pairs)) for pairs in pairs_of_cells.values()]
        measured = [(correlation, count) for correlation, count in correlations if correlation is not None]
        trials = sum(count for _, count in measured)
        if trials:
            mean = sum(correlation * count for correlation, count in measured) / trials
            qualities.append(RungQuality(rung, family, mean, trials))
    return qualities


def summary_lines(qualities: Iterable[RungQuality]) -> list[str]:
    """The quality in words: one line for all families, one for each poor rung."""
    qualities = list(qualities)
    overall = [
        f"rung {quality.rung} {quality.correlation:.2f} (n = {quality.trials})"
        for quality in qualities
        if quality.family is None and quality.trials >= ENOUGH
    ]
    lines = ["rank correlation of rungs with the end: " + ", ".join(overall)] if overall else []
    for quality in qualities:
        if quality.poor:
            family = f" {quality.family}" if quality.family else ""
            lines.append(
                f"warning: rung {quality.rung} judges{family} poorly (rank correlation {quality.correlation:.2f}, "
                f"n = {quality.trials}); think of later rungs or `early_stopping: none`"
            )
    return lines
