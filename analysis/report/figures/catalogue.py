"""All figures of a report, in its order, each with a caption that says how to read it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures.families_compared import families_compared
from phitune.analysis.report.figures.performance_profiles import performance_profiles
from phitune.analysis.report.figures.phi_against_budget import phi_against_budget
from phitune.analysis.report.figures.quality_against_phi import quality_against_phi
from phitune.analysis.report.figures.rank_diagram import rank_diagram
from phitune.analysis.report.figures.search_health import rung_correlations, trials_ended
from phitune.analysis.report.figures.style import Panel, panels
from phitune.analysis.report.figures.surfaces import surfaces
from phitune.analysis.report.figures.tuning import tuning
from phitune.analysis.report.search_quality import SearchQuality

# Further workloads are in the tables and in phi* against the budget alone: nobody reads hundreds of panels, and each
# costs a third of a second.
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
        *_phi(guidelines, shown),
        *_families(guidelines, shown),
        *_surfaces(shown, table),
        *_search(shown, groups, quality),
    ]


PHI, FAMILIES, SURFACES, SEARCH = "φ and the budget", "Families", "Surfaces", "How the search went"


def _phi(guidelines: Guidelines, shown: list[Panel]) -> Iterator[Sketch]:
    yield Sketch(
        "phi_against_budget", PHI, "φ* against the budget",
        "Each mark is one cell's φ* with its 90 % interval; hollow where no effect of φ is seen, a diamond where the "
        "interval touches the end of the range searched, a cross where it is unclear. Blue band: where the model of "
        "all cells expects a cell of this workload, 90 %. Orange band: a workload never searched. Bands narrower than "
        "the intervals mean that the budgets and workloads inform each other. Dashed grey: cosine (φ = 2).",
        partial(phi_against_budget, guidelines),
    )  # fmt: skip
    yield Sketch(
        "quality_against_phi", PHI, "What choosing φ costs",
        "How much worse the objective gets away from the best φ, with the LR at its best for every φ; a curve a "
        "budget, dark to light as budgets grow. A low, flat curve says that φ hardly matters. Bands: 90 %. Dots: φ*; "
        "hollow where no effect of φ is seen. Dashed: cosine (φ = 2).",
        partial(quality_against_phi, shown),
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


def _surfaces(shown: list[Panel], table: pd.DataFrame) -> Iterator[Sketch]:
    trials = table[["workload", "optimizer", "budget", "phase", "family", "status", "phi", "base_lr"]]
    for title, cells in shown:
        yield Sketch(
            f"surface-{re.sub(r'[^A-Za-z0-9]+', '-', title).strip('-')}", SURFACES, f"Surface of {title}",
            "Colour: how far the fitted surface lies above its lowest point, over φ and base LR; dark is good. Dots: "
            "UBA's trials. Line: the best base LR for every φ. Star: φ* and its base LR with their 90 % intervals, "
            "hollow where no effect of φ is seen or φ* is unclear.",
            partial(surfaces, (title, cells), trials[trials["workload"] == cells[0][0].label]),
        )  # fmt: skip


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
