"""Charts as pictures, as the page's specifications, and the script that draws them."""

from functools import cache
from io import BytesIO
from typing import Any

import vl_convert
from PIL import Image

from phitune.analysis.report.charts.chart import Chart, Spec
from phitune.analysis.report.charts.style import CONFIG

WIDTH = 330
# Figures with a panel for each workload show so many: nobody reads hundreds.
MOST_PANELS = 12


@cache
def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as a script that defines `vegaEmbed`; needs nothing from the network."""
    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"


def page_spec(chart: Chart) -> Spec:
    """The chart for the page, as wide as its place there; the page's script adds the data."""
    autosize = {"type": "fit-x", "contains": "padding"}
    return {**_sized(chart, "container"), "autosize": autosize, "config": CONFIG}


def picture(chart: Chart) -> bytes:
    """The chart as PNG, a panel for each of the first `MOST_PANELS` workloads (and families, where these pick rows)."""
    names = ("workload", "family") if "family" in chart.picked else ("workload",)
    titles = list(dict.fromkeys(_title(row, names) for row in chart.rows))
    shown = set(titles[:MOST_PANELS])
    rows = [{**row, "panel": _title(row, names)} for row in chart.rows if _title(row, names) in shown]
    panel = _sized(chart, WIDTH)
    spec: Spec = {"data": {"values": rows}, "params": panel.pop("params", [])}
    if len(shown) == 1:
        spec |= {"title": titles[0], **panel}
    else:
        spec |= {
            "facet": {"field": "panel", "type": "nominal", "sort": titles[:MOST_PANELS], "title": None},
            "columns": min(len(shown), 3),
            "spec": panel,
            "resolve": {"scale": {"y": "independent", "x": "independent"}},
        }
    png = BytesIO()
    # Of 256 colours: a tenth of the bytes.
    drawn = Image.open(BytesIO(vl_convert.vegalite_to_png(spec, scale=2, config=CONFIG)))
    drawn.convert("RGB").quantize(256).save(png, "PNG")
    return png.getvalue()


def _title(row: Any, names: tuple[str, ...]) -> str:
    return ", ".join(str(row[name]) for name in names if row.get(name) not in (None, "uba"))


def _sized(chart: Chart, width: int | str) -> Spec:
    height = {} if chart.height is None else {"height": chart.height}
    return {**chart.spec, "width": width, **height}
