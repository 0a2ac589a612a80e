"""The charts as the page's script reads them."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from phitune.analysis.report.charts.chart import Chart, Row
from phitune.analysis.report.charts.render import page_spec, vega_script


def packed(charts: Sequence[Chart]) -> str:
    """All charts with their data, their choices and the script that draws them: JSON in gzip in base64.

    Rows lie by the choices that pick them, joined by a line break, then by their columns, so that no name is repeated.
    """
    rows = [{"name": c.name, "picked": c.picked, "spec": page_spec(c), "rows": _by_choice(c)} for c in charts]
    values = {"charts": rows, "choices": _choices(charts), "vega": vega_script()}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Without the time: equal results make equal pages.
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _by_choice(chart: Chart) -> dict[str, list[Any]]:
    groups: dict[str, dict[tuple[str, ...], list[list[Any]]]] = {}
    for row in chart.rows:
        key = "\n".join(str(row[name]) for name in chart.picked)
        columns = tuple(name for name in row if name not in chart.picked)
        groups.setdefault(key, {}).setdefault(columns, []).append([row[name] for name in columns])
    return {key: [[columns, rows] for columns, rows in parts.items()] for key, parts in groups.items()}


def _choices(charts: Sequence[Chart]) -> dict[str, dict[str, list[Row]]]:
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
