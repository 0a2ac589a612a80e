"""All charts of a report, in its order."""

from dataclasses import replace

import pandas as pd
from joblib import Parallel, cpu_count, delayed

from phitune.analysis.guidelines.guidelines import CELLS_A_PROCESS, Guidelines
from phitune.analysis.report.charts.cells import parameters
from phitune.analysis.report.charts.chart import Chart
from phitune.analysis.report.charts.curves import curves
from phitune.analysis.report.charts.families import families_compared
from phitune.analysis.report.charts.optimum import optimum_against_budget
from phitune.analysis.report.charts.quality import quality_against_parameter
from phitune.analysis.report.charts.render import MOST_PANELS, picture
from phitune.analysis.report.charts.surface import surface
from phitune.analysis.report.charts.tuning import performance_profiles, tuning
from phitune.analysis.results.table import CELL, CellKey


def charts(guidelines: Guidelines, table: pd.DataFrame) -> list[Chart]:
    """The charts that have anything to show.

    Args:
        guidelines: The conclusions.
        table: The results table, for the trials on the surfaces.
    """
    units = (True, False)
    searched = parameters(guidelines)
    every = [
        *(families_compared(guidelines, relative) for relative in units),
        *(draw(guidelines, table, parameter) for parameter in searched for draw in (surface, curves)),
        *(quality_against_parameter(guidelines, each, relative) for each in searched for relative in units),
        *(optimum_against_budget(guidelines, parameter) for parameter in searched),
        tuning(guidelines),
        performance_profiles(guidelines.comparisons.scores),
    ]
    return [chart for chart in every if chart.rows]


def cell_pictures(guidelines: Guidelines, table: pd.DataFrame) -> dict[CellKey, bytes]:
    """Of each cell the surface of the parameter that it speaks of, as PNG; of the first `MOST_PANELS` workloads."""
    labels = set(list(dict.fromkeys(cell.label for cell in guidelines.cells))[:MOST_PANELS])
    trials = dict(iter(table.groupby(CELL)))
    drawn = {}
    for cell, surfaces in zip(guidelines.cells, guidelines.surfaces, strict=True):
        shape = cell.shape
        if shape is None or cell.label not in labels:
            continue
        key = cell.label, cell.optimizer, cell.budget
        alone = surface(replace(guidelines, cells=(cell,), surfaces=(surfaces,)), trials[key], shape.parameter)
        if rows := [row for row in alone.rows if row["family"] == shape.family]:
            drawn[key] = replace(alone, rows=rows)
    pool = Parallel(n_jobs=min(len(drawn) // CELLS_A_PROCESS + 1, cpu_count()))
    return dict(zip(drawn, pool(delayed(picture)(chart) for chart in drawn.values()), strict=True))
