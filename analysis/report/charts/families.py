"""Families against a baseline, cell by cell."""

import json
from collections.abc import Iterator

from phitune.analysis.families.compare import BASELINES
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import quantity, short, workload_names
from phitune.analysis.report.charts.chart import Chart, Row, Spec, layer, linear_axis, shown
from phitune.analysis.report.charts.style import GREY, family_scale, ordered
from phitune.analysis.report.words.gains import gain_text
from phitune.trainables.schedules import from_dict

# A family further behind than this (per cent) is drawn as an arrow at the edge.
MOST_LOSS = 30.0


def families_compared(guidelines: Guidelines, relative: bool) -> Chart:
    """Gain of each family over cosine or linear with 90 % intervals, a row a budget.

    Args:
        guidelines: The conclusions.
        relative: Whether of the cells whose objective has per cents, or of those where it crosses zero.
    """
    cells = [c for c in guidelines.cells if c.delta_relative == relative]
    rows = list(_rows(guidelines, relative))
    names = ordered({str(row["name"]) for row in rows})
    return Chart(
        f"families{'' if relative else '-units'}",
        "Families compared",
        "Gain of each family at its own best LR over the baseline at its own: right of the dashed line is better. "
        "Bars: 90 % intervals; where one crosses the line, the sign of the gain is not clear. An arrow lies beyond.",
        _spec(names, f"gain ({'% of ' if relative else ''}{quantity(cells)})"),
        rows,
        ("workload",),
        height=None,
        pictured=True,
    )


def _spec(names: list[str], label: str) -> Spec:
    x, y = linear_axis("gain", label), {"field": "T", "type": "ordinal", "title": "budget"}
    offset = {"field": "name", "sort": names}
    color = {"field": "name", "type": "nominal", "title": None, "scale": family_scale(names)}
    place = {"y": y, "yOffset": offset, "color": color}
    baseline = {"filter": "datum.baseline === baseline"}
    hover = shown(name="family", baseline="over", text="gain", sure="its sign", schedule="schedule", base_lr="base LR",
                  trials="trials", replicates="replicates")  # fmt: skip
    arrow = {"condition": {"test": "datum.far", "value": "triangle-left"}, "value": "circle"}
    return {
        "params": [{"name": "baseline", "value": BASELINES[0]}],
        "height": {"step": 11, "for": "offset"},
        "layer": [
            {"data": {"values": [{}]}, "mark": {"type": "rule", "strokeDash": [4, 3], "color": GREY},
             "encoding": {"x": {"datum": 0}}},
            layer("gain", {"type": "rule", "strokeWidth": 2},
                  {"x": {**x, "field": "low"}, "x2": {"field": "high"}, **place}, baseline),
            layer("gain", {"type": "point", "filled": True, "size": 55, "opacity": 1},
                  {"x": x, **place, "shape": arrow, "tooltip": hover}, baseline),
        ],
    }  # fmt: skip


def _rows(guidelines: Guidelines, relative: bool) -> Iterator[Row]:
    for workload, cell in zip(workload_names(guidelines), guidelines.cells, strict=True):
        if cell.delta_relative != relative:
            continue
        for each in cell.families:
            for baseline, gain in each.gains.items():
                far = gain.relative and gain.percent < -MOST_LOSS
                value, low, high = (max(v, -MOST_LOSS) if gain.relative else v for v in (gain.percent, *gain.interval))
                yield {
                    "workload": workload,
                    "kind": "gain",
                    "T": cell.budget,
                    "name": each.family,
                    "baseline": baseline,
                    "gain": short(value),
                    "low": short(value if far else low),
                    "high": short(value if far else high),
                    "far": far,
                    "text": gain_text(gain),
                    "sure": gain.sureness,
                    "schedule": str(from_dict(json.loads(each.schedule))),
                    "base_lr": short(each.base_lr),
                    "trials": each.trials,
                    "replicates": each.replicates,
                }
