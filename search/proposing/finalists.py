"""Which configurations of a cell are trained again on fresh seeds, for claims that their choice does not bias."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phitune.search.proposing.group import Group
from phitune.search.proposing.space import FAMILY, point, values_at
from phitune.search.study.model import Cell


@dataclass(frozen=True)
class Finalist:
    """A configuration that is replicated.

    Attributes:
        family: Its label.
        schedule: `Schedule.to_dict`.
    """

    family: str
    schedule: Mapping[str, Any]
    base_lr: float
    mean_lr: float

    @property
    def word(self) -> str:
        """The family's label as ids and file names allow."""
        return re.sub(r"[^\w,=()%+-]", "-", self.family)


def finalists(group: Group, cell: Cell, baselines: Iterable[str]) -> list[Finalist]:
    """The best configuration by the group's belief, then each baseline at its best LR, if it is not the best.

    Args:
        group: The belief of the cell's workload and optimizer.
        cell: A cell of it.
        baselines: Labels of families; those that the cell does not search are left out.

    Returns:
        Of distinct families; empty if too few trials were completed to choose.
    """
    best = chosen(group, cell)
    if best is None:
        return []
    labels = [space.label for space in cell.families if space.label in set(baselines) - {best.family}]
    return [best, *(finalist for label in labels if (finalist := chosen(group, cell, label)) is not None)]


def chosen(group: Group, cell: Cell, family: str | None = None) -> Finalist | None:
    """The best configuration of a cell, or of one of its families, by the group's belief; None as in `Group.choice`."""
    at = group.choice(cell, family)
    if at is None:
        return None
    values = dict(values_at(cell, at, 0))
    label = str(values.pop(FAMILY))
    space = next(space for space in cell.families if space.label == label)
    configuration = point(space, cell, {name: float(value) for name, value in values.items()})
    return Finalist(label, configuration.schedule.to_dict(), configuration.base_lr, configuration.mean_lr)
