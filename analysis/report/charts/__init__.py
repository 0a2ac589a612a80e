"""The charts, one kind a file: Vega-Lite specifications over rows of data. They compute nothing.

The page draws them with Vega for the workload, budget and family that are chosen on it; report.md has some of them as
pictures, a panel a workload, from the same specifications. Vega (BSD-3) comes with vl-convert: 0.4 MB in the page.
Bokeh's script has 1.3 MB and draws on a canvas, which prints as pixels; Plotly's has 4.5 MB.
"""

from phitune.analysis.report.charts.catalogue import cell_pictures, charts
from phitune.analysis.report.charts.chart import Chart
from phitune.analysis.report.charts.export import packed
from phitune.analysis.report.charts.render import MOST_PANELS, picture

__all__ = ["MOST_PANELS", "Chart", "cell_pictures", "charts", "packed", "picture"]
