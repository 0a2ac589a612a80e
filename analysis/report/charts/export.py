"""The charts as the page's script reads them."""

import json
from collections.abc import Sequence
from typing import Any

from phitune.analysis.report.charts.chart import Chart, Row
from phitune.analysis.report.charts.render import page_spec


def charts_json(charts: Sequence[Chart]) -> str:
    """All charts with their data, safe inside a script element.

    Rows lie by the choices that pick them, joined by a line break, then by their columns, so that no name is repeated.
    """
    values = [{"name": c.name, "picked": c.picked, "spec": page_spec(c), "rows": _by_choice(c)} for c in charts]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _by_choice(chart: Chart) -> dict[str, list[Any]]:
    groups: dict[str, dict[tuple[str, ...], list[list[Any]]]] = {}
    for row in chart.rows:
        key = "\n".join(str(row[name]) for name in chart.picked)
        columns = tuple(name for name in row if name not in chart.picked)
        groups.setdefault(key, {}).setdefault(columns, []).append([row[name] for name in columns])
    return {key: [[columns, rows] for columns, rows in parts.items()] for key, parts in groups.items()}


def choices(charts: Sequence[Chart]) -> dict[str, dict[str, list[Row]]]:
    """Budgets and families of each workload that the charts have rows of."""
    out: dict[str, dict[str, list[Any]]] = {}
    for chart in charts:
        for row in chart.rows:
            if "workload" in chart.picked:
                known = out.setdefault(str(row["workload"]), {"budget": [], "family": []})
                for name in ("budget", "family"):
                    if name in chart.picked and row[name] not in known[name]:
                        known[name].append(row[name])
    return out
