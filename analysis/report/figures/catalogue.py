"""All figures of a report, in its order, each with a caption that says how to read it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures.families_compared import families_compared
from phitune.analysis.report.figures.optimum_against_budget import optimum_against_budget
from phitune.analysis.report.figures.performance_profiles import performance_profiles
from phitune.analysis.report.figures.quality_against_parameter import quality_against_parameter
from phitune.analysis.report.figures.rank_diagram import rank_diagram
from phitune.analysis.report.figures.search_health import rung_correlations, trials_ended
from phitune.analysis.report.figures.style import Panel, ShapeCell, best_name, panels, shape_panels
from phitune.analysis.report.figures.surfaces import surfaces
from phitune.analysis.report.figures.tuning import tuning
from phitune.analysis.report.search_quality import SearchQuality
from phitune.analysis.results.table import CellKey

# Further workloads are in the tables and in the best values against the budget alone: nobody reads hundreds of panels,
# and each costs a third of a second.
MOST_PANELS = 12


@dataclass(frozen=True)
class Sketch:
    """A figure that is not drawn yet.

    Attributes:
        name: File name without ending.
        section: Heading of its section.
        title: Its heading.
        caption: How to read it.
        draw: Draws it; None where the evidence does not allow it.
    """

    name: str
    section: str
    title: str
    caption: str
    draw: Callable[[], Figure | None]

    @property
    def folded(self) -> bool:
        """Whether it is one of a long row, shown on request."""
        return self.section == SURFACES


def sketches(guidelines: Guidelines, table: pd.DataFrame, quality: tuple[SearchQuality, ...]) -> list[Sketch]:
    """All figures, in the report's order.

    Args:
        guidelines: The conclusions.
        table: The results table, for the trials on the surfaces.
        quality: Endings of trials and correlations of rungs.
    """
    groups = panels(guidelines)
    shown = groups[:MOST_PANELS]
    return [
        *_shapes(guidelines, shown),
        *_families(guidelines, shown),
        *_surfaces(guidelines, shown, table),
        *_search(shown, groups, quality),
    ]


FAMILIES, SURFACES, SEARCH = "Families", "Surfaces", "How the search went"


def parameters(guidelines: Guidelines) -> list[str]:
    """The parameters that were searched, the main family's first."""
    main = [guidelines.main[1]] if guidelines.main is not None else []
    return list(dict.fromkeys([*main, *(shape.parameter for c in guidelines.cells for shape in c.shapes)]))


def shape_section(guidelines: Guidelines) -> str:
    """Heading of the section on searched parameters."""
    names = ", ".join(symbol(parameter) for parameter in parameters(guidelines)) or "φ"
    return f"{_sentence(names)} and the budget"


def _sentence(text: str) -> str:
    """The text as a sentence begins; φ stays small."""
    return text if text.startswith("φ") else text[0].upper() + text[1:]


def _shapes(guidelines: Guidelines, shown: list[Panel]) -> Iterator[Sketch]:
    section = shape_section(guidelines)
    for parameter in parameters(guidelines):
        name = symbol(parameter)
        best = best_name(parameter)
        yield Sketch(
            f"{parameter}_against_budget", section, f"{_sentence(best)} against the budget",
            f"Each mark is one cell's {best} with its 90 % interval; hollow where no effect of {name} is seen, a "
            "diamond where the interval touches the end of the range searched, a cross where it is unclear. Blue band: "
            "where the model of all cells expects a cell of this workload, 90 %. Orange band: a workload never "
            "searched. Bands narrower than the intervals mean that the budgets and workloads inform each other. "
            "Dashed grey: what is chosen without a search.",
            partial(optimum_against_budget, guidelines, parameter),
        )  # fmt: skip
        yield Sketch(
            f"quality_against_{parameter}", section, f"What choosing {name} costs",
            f"How much worse the objective gets away from the best {name}, with the LR at its best for every {name}; a "
            f"curve a budget, dark to light as budgets grow. A low, flat curve says that {name} hardly matters. Bands: "
            f"90 %. Dots: {best}; hollow where no effect of {name} is seen. Dashed: what is chosen without a search.",
            partial(quality_against_parameter, shown, parameter),
        )  # fmt: skip


def _families(guidelines: Guidelines, shown: list[Panel]) -> Iterator[Sketch]:
    comparisons = guidelines.comparisons
    yield Sketch(
        "families", FAMILIES, "Families compared with cosine",
        "Gain of each family at its own best LR over cosine at its own: to the right of the dashed line is better. "
        "Bars: 90 % intervals; where one crosses the line, the two cannot be told apart. Arrows lie beyond the axis.",
        partial(families_compared, shown),
    )  # fmt: skip
    yield Sketch(
        "ranks", FAMILIES, "Average ranks",
        "Mean rank of each family over the cells that have all families. A black bar at the right joins families that "
        "cannot be told apart: their ranks differ by less than the critical difference (Nemenyi, 90 %). Cells of one "
        "workload are not independent, so the test is too sure.",
        partial(rank_diagram, comparisons.ranks),
    )  # fmt: skip
    yield Sketch(
        "performance_profiles", FAMILIES, "Performance profiles",
        "For each score τ, the share of a family's runs that reach it: higher is better everywhere. The score is 1 for "
        "a run as good as the cell's best family and 0.9 for one about ten per cent worse. Bands: 90 %.",
        partial(performance_profiles, comparisons.scores),
    )  # fmt: skip
    yield Sketch(
        "tuning_curves", FAMILIES, "What n trials of a family buy",
        "The objective that the best of n trials reaches with probability one half: read off, for the number of trials "
        "you can afford, which family is lowest (highest, for an accuracy). Trials that were stopped or diverged "
        "count as worse than all that completed, so curves start where half the searches have one. Bands: 90 %, for "
        "the whole curve at once; one that leaves the panel has no known end. A dot at the end: guided by a model; the "
        "curve is too good for small n and has no band.",
        partial(tuning, shown, comparisons.tuning_curves),
    )  # fmt: skip


def _surfaces(guidelines: Guidelines, shown: list[Panel], table: pd.DataFrame) -> Iterator[Sketch]:
    trials = table[["workload", "optimizer", "budget", "phase", "family", "status", "schedule", "base_lr"]]
    for parameter in parameters(guidelines):
        name = symbol(parameter)
        best = best_name(parameter)
        for title, cells in shape_panels(shown, parameter):
            yield Sketch(
                f"surface-{re.sub(r'[^A-Za-z0-9]+', '-', title).strip('-')}", SURFACES, f"Surface of {title}",
                f"Colour: how far the fitted surface lies above its lowest point, over {name} and base LR; dark is "
                f"good. Dots: the family's trials. Line: the best base LR for every {name}. Star: {best} and its base "
                f"LR with their 90 % intervals, hollow where no effect of {name} is seen or {best} is unclear.",
                partial(surfaces, (title, cells), trials[trials["workload"] == cells[0].cell.label]),
            )  # fmt: skip


def cell_sketches(guidelines: Guidelines, table: pd.DataFrame) -> dict[CellKey, Callable[[], Figure]]:
    """Of each cell the surface of the parameter that it speaks of, drawn alone, by workload, optimizer and budget."""
    trials = table[["workload", "optimizer", "budget", "phase", "family", "status", "schedule", "base_lr"]]
    draws: dict[CellKey, Callable[[], Figure]] = {}
    for title, cells in panels(guidelines)[:MOST_PANELS]:
        for cell, by_family in cells:
            shape = cell.shape
            surface = by_family.get(shape.family) if shape is not None else None
            if shape is not None and surface is not None and shape.best is not None:
                panel = title, [ShapeCell(cell, shape, surface)]
                mine = trials[trials["workload"] == cell.label]
                draws[cell.label, cell.optimizer, cell.budget] = partial(surfaces, panel, mine)
    return draws


def _search(shown: list[Panel], groups: list[Panel], quality: tuple[SearchQuality, ...]) -> Iterator[Sketch]:
    yield Sketch(
        "trials_ended", SEARCH, "How trials ended",
        "Explore trials by how they ended. Stopped trials are censored: their final value is predicted from the rung "
        "they reached. Diverged ones mark a bad region. Failed ones (crashes) should be none.",
        partial(trials_ended, shown, quality),
    )  # fmt: skip
    yield Sketch(
        "rung_correlations", SEARCH, "Whether rungs foretold the end",
        "Rank correlation between the objective at a rung and at the end, a mark a budget. Near 1 stopping early is "
        "safe; near 0 the rungs cut blindly. Only trials that completed can be used, those that did well at the "
        "rungs, so over all trials it is likely to be higher.",
        partial(rung_correlations, groups, quality),
    )  # fmt: skip
