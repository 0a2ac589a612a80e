"""Which configurations of a cell are trained again on fresh seeds, for claims that their choice does not bias."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phitune.search.proposing.group import Group
from phitune.search.proposing.space import FAMILY, point, values_at
from phitune.search.study.cell import Cell


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


def finalists(
    group: Group, cell: Cell, baselines: Iterable[str], decided: Sequence[Finalist] = (), best_first: bool = True
) -> list[Finalist]:
    """The best configuration by the group's belief, then each baseline at its best LR, if it is not the best.

    Args:
        group: The belief of the cell's workload and optimizer.
        cell: A cell of it.
        baselines: Labels of families; those that the cell does not search are left out.
        decided: Finalists that were chosen earlier, of distinct families; they stay what they are.
        best_first: Whether the first of these was chosen as the best; it stays the best while its family is searched.

    Returns:
        Of distinct families; empty if too few trials were completed to choose.
    """
    families = [space.label for space in cell.families]
    earlier = {finalist.family: finalist for finalist in decided}
    stays = best_first and bool(decided) and decided[0].family in families
    best = decided[0] if stays else chosen(group, cell)
    if best is None:
        return []
    labels = [label for label in families if label in set(baselines) - {best.family}]
    others = [earlier.get(label) or chosen(group, cell, label) for label in labels]
    return [earlier.get(best.family, best), *(finalist for finalist in others if finalist is not None)]


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
