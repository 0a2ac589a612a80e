"""The parameters that a study searched, each with the cells that tell of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.results.table import CellKey
from phitune.analysis.surface import CellFit, CellSurface
from phitune.analysis.trends import CellDraws, cell_draws


@dataclass(frozen=True)
class SearchedParameter:
    """A family's only searched parameter.

    Attributes:
        family: Label of the family.
        parameter: The parameter's name.
        surfaces: The family's surface in each cell in which that parameter was searched.
    """

    family: str
    parameter: str
    surfaces: Mapping[CellKey, CellSurface]

    @cached_property
    def draws(self) -> list[CellDraws]:
        """Draws of the cells whose surface was fitted."""
        return cell_draws(list(self.surfaces), list(self.surfaces.values()))


def searched_parameters(
    fits: Mapping[CellKey, CellFit], cells: Sequence[CellGuideline]
) -> tuple[SearchedParameter, ...]:
    """All of them: first that of the family recommended in most cells; of equals UBA's, then by name."""
    surfaces: dict[tuple[str, str], dict[CellKey, CellSurface]] = {}
    for key, fit in fits.items():
        for family, surface in fit.surfaces.items():
            if surface.shape is not None:
                surfaces.setdefault((family, surface.shape.parameter), {})[key] = surface
    count = Counter(cell.family for cell in cells)
    order = sorted(surfaces, key=lambda each: (-count[each[0]], each[0] != "uba", each))
    return tuple(SearchedParameter(*each, surfaces[each]) for each in order)
