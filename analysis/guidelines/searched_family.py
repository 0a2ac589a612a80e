"""The families of which a study searched one or two parameters, each with the cells that tell of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from phitune.analysis.answers.budget_model import MEAN_LR
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.results.table import CellKey
from phitune.analysis.surface import CellFit, CellSurface
from phitune.analysis.trends import CellDraws, TrendData, cell_draws, trend_data


@dataclass(frozen=True)
class SearchedFamily:
    """A family and the parameters of it that were searched together.

    Attributes:
        family: Label of the family.
        parameters: Their names, one or two.
        surfaces: The family's surfaces, one a parameter, in each cell in which just these were searched.
    """

    family: str
    parameters: tuple[str, ...]
    surfaces: Mapping[CellKey, tuple[CellSurface, ...]]

    @property
    def first(self) -> dict[CellKey, CellSurface]:
        """The surfaces over the first parameter."""
        return {key: surfaces[0] for key, surfaces in self.surfaces.items()}

    @cached_property
    def draws(self) -> list[list[CellDraws]]:
        """Of each parameter, draws of the cells whose surface was fitted."""
        return [
            cell_draws(list(self.surfaces), [each[k] for each in self.surfaces.values()])
            for k in range(len(self.parameters))
        ]

    @property
    def quantities(self) -> tuple[str, ...]:
        """What trends are fitted to: the first parameter's best value, the mean LR that goes with it, the other's."""
        return (self.parameters[0], MEAN_LR, *self.parameters[1:])

    @property
    def trend_data(self) -> list[TrendData]:
        """The data of the trends of `quantities`; empty if no cell was fitted."""
        first, *others = self.draws
        if not first:
            return []
        pairs = zip((first, first, *others), self.quantities, strict=True)
        return [trend_data(draws, quantity) for draws, quantity in pairs]


def searched_families(fits: Mapping[CellKey, CellFit], cells: Sequence[CellGuideline]) -> tuple[SearchedFamily, ...]:
    """All of them: first the family recommended in most cells, of equals UBA; a family's own by number of cells."""
    found: dict[tuple[str, tuple[str, ...]], dict[CellKey, tuple[CellSurface, ...]]] = {}
    for key, fit in fits.items():
        for family in dict.fromkeys(family for family, _ in fit.surfaces):
            own = {parameter: surface for (of, parameter), surface in fit.surfaces.items() if of == family}
            found.setdefault((family, tuple(own)), {})[key] = tuple(own.values())
    count = Counter(cell.family for cell in cells)
    order = sorted(found, key=lambda each: (-count[each[0]], each[0] != "uba", each[0], -len(found[each]), each[1]))
    return tuple(SearchedFamily(*each, found[each]) for each in order)
