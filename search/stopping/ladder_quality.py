"""How well the rungs of a study's ladders foretold the end; measured on the trials that were not stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from phitune.search.records.record import Record
from phitune.search.study.model import Cell

# Fewer trials than this say nothing about a correlation.
ENOUGH = 10
# Rank correlation below which a rung is called poor.
POOR = 0.5


@dataclass(frozen=True)
class RungQuality:
    """How a rung judged the trials of one family, or of all.

    Ranks are taken among the completed trials of a cell, from 0 (best) to 1 (worst), and put together over the
    study's cells. Since the trials that a ladder stopped have no end, the correlation is that among the better ones,
    which is lower than it would be among all.

    Attributes:
        rung: Its number, from 1.
        family: The family's label; ``all`` for all families together.
        correlation: Of the ranks at the rung and at the end; nan if all ranks are equal.
        punished: Mean rank at the rung less mean rank at the end: above 0 for a family that looks worse there than it
            turns out.
        trials: How many were compared.
    """

    rung: int
    family: str
    correlation: float
    punished: float
    trials: int

    @property
    def poor(self) -> bool:
        """Whether the rung is a bad judge, as far as can be said."""
        return self.trials >= ENOUGH and self.correlation < POOR


def ladder_quality(cells: Sequence[Cell], records: Iterable[Record]) -> list[RungQuality]:
    """Quality of every rung, for all families together and for each, over the explore trials of a study."""
    of_cell: dict[str, list[Record]] = {cell.key: [] for cell in cells}
    modes = {cell.key: cell.mode for cell in cells}
    for record in records:
        if record.status == "completed" and record.rungs:
            of_cell[record.trial.cell].append(record)
    ranks: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for key, completed in of_cell.items():
        for rung in range(1, max((len(record.rungs) for record in completed), default=0) + 1):
            for family, pair in _ranks(completed, rung, modes[key]):
                ranks.setdefault((rung, "all"), []).append(pair)
                ranks.setdefault((rung, family), []).append(pair)
    return [_quality(rung, family, np.array(pairs)) for (rung, family), pairs in sorted(ranks.items())]


def told(qualities: Iterable[RungQuality]) -> list[str]:
    """The quality in words: one line for all families, one for each poor rung."""
    qualities = list(qualities)
    overall = [
        f"rung {quality.rung} {quality.correlation:.2f} (n = {quality.trials})"
        for quality in qualities
        if quality.family == "all" and quality.trials >= ENOUGH
    ]
    lines = ["rank correlation of rungs with the end: " + ", ".join(overall)] if overall else []
    for quality in qualities:
        if quality.poor:
            of = "" if quality.family == "all" else f" {quality.family}"
            lines.append(
                f"warning: rung {quality.rung} judges{of} poorly (rank correlation {quality.correlation:.2f}, "
                f"n = {quality.trials}); think of later rungs or `early_stopping: none`"
            )
    return lines


def _ranks(completed: list[Record], rung: int, mode: str) -> Iterable[tuple[str, tuple[float, float]]]:
    """Family and the ranks at the rung and at the end of each trial of a cell."""
    if len(completed) < 2:
        return []
    sign = 1.0 if mode == "min" else -1.0
    there = rankdata([sign * record.rungs[rung - 1][1] for record in completed])
    end = rankdata([sign * record.final["objective"] for record in completed])
    scale = len(completed) - 1
    return [
        (record.trial.family, (float((a - 1) / scale), float((b - 1) / scale)))
        for record, a, b in zip(completed, there, end, strict=True)
    ]


def _quality(rung: int, family: str, pairs: np.ndarray) -> RungQuality:
    there, end = pairs.T
    varied = there.std() > 0 and end.std() > 0
    correlation = float(np.corrcoef(there, end)[0, 1]) if varied else float("nan")
    return RungQuality(rung, family, correlation, float(there.mean() - end.mean()), len(pairs))


def as_json(qualities: Iterable[RungQuality]) -> list[Mapping[str, object]]:
    """The qualities as JSON holds them; nan is null."""
    return [
        {**vars(quality), "correlation": None if np.isnan(quality.correlation) else quality.correlation}
        for quality in qualities
    ]
