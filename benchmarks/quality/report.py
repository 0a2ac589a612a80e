"""Writes what the simulations gave, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.quality.scores import Curve

REGRETS = (0.10, 0.05, 0.02, 0.01)
COMPUTES = (8, 12, 16, 24, 40, 64, 112)

_ABOUT = (
    "Regret: expected final validation loss of the chosen configuration ÷ the least there is − 1, in per cent. "
    "Compute: full trainings, trials in training counted as far as they are. A search is asked for its choice when so "
    "much is spent. Compute until the median regret comes down to a value is with a 90 % bootstrap interval over the "
    "searches."
)


def figures(curves: dict[str, Curve]) -> dict[str, Any]:
    """A workload's figures by method: searches, compute to reach regrets, median and mean regret at computes."""
    return {
        name: {
            "searches": len(curve.regret),
            "reach": {str(r): [_plain(x) for x in (curve.reach(r), *curve.interval(r))] for r in REGRETS},
            "at": _at(curve),
        }
        for name, curve in curves.items()
    }


def write(workloads: dict[str, Any], header: dict[str, Any], folder: Path) -> None:
    """``quality.json`` and ``quality.md``, with the figures of other methods and workloads that are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    workloads = _merged(_before(folder / "quality.json"), workloads)
    content = {"header": header, "workloads": workloads}
    (folder / "quality.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "quality.md").write_text(markdown(workloads, header), encoding="utf-8")


def markdown(workloads: dict[str, Any], header: dict[str, Any]) -> str:
    """The report as text."""
    lines = ["# Regret of a search's choice against its compute", ""]
    lines += [f"{key}: {value}  " for key, value in header.items()]
    lines += ["", _ABOUT]
    for workload, content in workloads.items():
        methods = content["methods"]
        lines += ["", f"## {workload}", "", content["about"], ""]
        lines += ["Median (mean) regret after so many full trainings", ""]
        lines += [f"| method | searches | {' | '.join(map(str, COMPUTES))} |", "|---|---|" + "---|" * len(COMPUTES)]
        for name, values in methods.items():
            cells = [_pair(values["at"].get(str(c))) for c in COMPUTES]
            lines.append(f"| {name} | {values['searches']} | {' | '.join(cells)} |")
        lines += ["", "Compute until the median regret is down to", ""]
        lines += [f"| method | {' | '.join(f'{r:.0%}' for r in REGRETS)} |", "|---|" + "---|" * len(REGRETS)]
        for name, values in methods.items():
            cells = [_reach(values["reach"][str(r)]) for r in REGRETS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _before(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return dict(content.get("workloads", {}))


def _merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Figures by workload, and by method where the losses are the same as before."""
    merged = {**before, **now}
    for name in before.keys() & now.keys():
        if before[name]["about"] == now[name]["about"]:
            merged[name] = {**now[name], "methods": {**before[name]["methods"], **now[name]["methods"]}}
    return merged


def _at(curve: Curve) -> dict[str, list[float | None]]:
    """Median and mean regret after amounts of compute."""
    rows = zip(curve.compute, curve.median(), curve.mean(), strict=True)
    return {f"{compute:g}": [_plain(median), _plain(mean)] for compute, median, mean in rows if compute in COMPUTES}


def _plain(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None


def _reach(values: list[float | None]) -> str:
    reached, low, high = values
    if reached is None:
        return "–"
    return f"{reached:.1f} [{'∞' if low is None else f'{low:.1f}'}, {'∞' if high is None else f'{high:.1f}'}]"


def _pair(values: list[float | None] | None) -> str:
    if values is None or values[0] is None:
        return "–"
    return f"{100 * values[0]:.2f} ({'–' if values[1] is None else f'{100 * values[1]:.2f}'})"
