"""What earlier studies of other workloads say of a new one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from phitune.analysis.surrogate.evidence import Evidence
from phitune.analysis.surrogate.guide import Array, Guide, average, table
from phitune.search.proposing.rows import Row, fitted, outcomes, spread_over_time
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.study.cell import Cell

# Completed trials without which a cell is no guide, and trials of a workload that are taken into account.
FEWEST = 8
MOST = 150


def guide_of(cells: Sequence[Cell], others: Iterable[EarlierCell]) -> Guide | None:
    """The guide for a workload's cells; None if no cell of another workload has enough trials.

    Each cell hears of every other workload and optimizer what the cell of the nearest budget says.

    Args:
        cells: Of one workload and optimizer.
        others: Cells of other workloads.
    """
    groups: dict[str, list[EarlierCell]] = {}
    for other in others:
        if sum(record.status == "completed" for record in other.records) >= FEWEST:
            groups.setdefault(other.group, []).append(other)
    if not groups:
        return None
    with threadpool_limits(1, "blas"):
        tables = [_tables(members, cells) for members in groups.values()]
    names = [members[0].name for members in groups.values()]
    averages = [average(zip(names, column, strict=True)) for column in zip(*tables, strict=True)]
    return Guide.of(np.array(averages), cells[0].base_lr)


def _tables(members: Sequence[EarlierCell], cells: Sequence[Cell]) -> list[Array]:
    """Of each cell, what one other workload says of it."""
    families: dict[str, int] = {}
    rows = [
        Row.of(number, record.trial, member.budget, families.setdefault(record.trial.family, len(families))).ended(
            record
        )
        for number, member in enumerate(members)
        for record in member.records
    ]
    rows = [rows[number] for number in spread_over_time(len(rows), MOST)]
    budgets = [member.budget for member in members]
    evidence = Evidence.of(outcomes(rows, budgets, members[0].mode, members[0].exact), len(families))
    h = fitted(evidence)
    told = [number for number in range(len(members)) if math.isfinite(evidence.best[number])]
    made: dict[int, Array] = {}
    for cell in cells:
        nearest = min(told, key=lambda number: abs(math.log(budgets[number] / cell.budget)))
        made.setdefault(cell.budget, table(evidence, nearest, h))
    return [made[cell.budget] for cell in cells]
