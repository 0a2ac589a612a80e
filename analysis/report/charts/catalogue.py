"""All charts of a report, in its order."""

import pandas as pd

from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import parameters
from phitune.analysis.report.charts.chart import Chart
from phitune.analysis.report.charts.families import families_compared
from phitune.analysis.report.charts.optimum import optimum_against_budget
from phitune.analysis.report.charts.quality import quality_against_parameter
from phitune.analysis.report.charts.surface import surface
from phitune.analysis.report.charts.tuning import performance_profiles, tuning


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
        *(surface(guidelines, table, parameter) for parameter in searched),
        *(quality_against_parameter(guidelines, each, relative) for each in searched for relative in units),
        *(optimum_against_budget(guidelines, parameter) for parameter in searched),
        tuning(guidelines),
        performance_profiles(guidelines.comparisons.scores),
    ]
    return [chart for chart in every if chart.rows]
