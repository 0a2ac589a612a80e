"""Writes what the simulations gave, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.plan import PEERS, RANDOM, RECIPE
from benchmarks.quality.scores import Curve

REGRETS = (0.10, 0.05, 0.02, 0.01)
COMPUTES = (5, 10, 20, 30, 45, 90)
EXPLORED, REPLICATED = "phitune, explored", "phitune, with replicates"


def figures(curves: dict[str, Curve]) -> dict[str, Any]:
    """A workload's figures: by method the compute to reach regrets with 90 % intervals, and the curves."""
    return {
        name: {
            "reach": {str(r): [_plain(x) for x in (curve.reach(r), *curve.interval(r))] for r in REGRETS},
            "compute": [_plain(x) for x in curve.medians()[0]] if name not in PEERS else None,
            "median_regret": [_plain(x) for x in curve.medians()[1]] if name not in PEERS else None,
            "mean_regret": [_plain(x) for x in curve.regret.mean(axis=0)] if name not in PEERS else None,
            "at": _at(curve, anytime=name in PEERS),
        }
        for name, curve in curves.items()
    }


def write(workloads: dict[str, Any], header: dict[str, Any], folder: Path) -> None:
    """``quality.json`` and ``quality.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"header": header, "workloads": workloads}
    (folder / "quality.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "quality.md").write_text(markdown(workloads, header), encoding="utf-8")


def markdown(workloads: dict[str, Any], header: dict[str, Any]) -> str:
    """The report as text."""
    lines = ["# Regret of a search's choice against its compute", ""]
    lines += [f"{key}: {value}  " for key, value in header.items()]
    lines += [
        "",
        "Regret: expected final validation loss of the chosen configuration ÷ the least there is − 1. Compute: full "
        "trainings. In brackets: 90 % bootstrap interval over the repeats. phitune's compute is that of its whole "
        "search with the number of trials that reaches the regret.",
    ]
    for workload, methods in workloads.items():
        lines += ["", f"## {workload}", "", methods["about"], "", "Compute until the median regret is down to", ""]
        lines += [f"| method | {' | '.join(f'{r:.0%}' for r in REGRETS)} |", "|---|" + "---|" * len(REGRETS)]
        for name, values in methods["methods"].items():
            cells = [_reach(values["reach"][str(r)], PEERS.get(name)) for r in REGRETS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", "Ratio of phitune's to", ""]
        lines += [f"| | {' | '.join(f'{r:.0%}' for r in REGRETS)} |", "|---|" + "---|" * len(REGRETS)]
        for mine in (EXPLORED, REPLICATED):
            for peer in (RECIPE, RANDOM):
                cells = [_ratio(methods["methods"], mine, peer, str(r)) for r in REGRETS]
                lines.append(f"| {mine} ÷ {peer} | {' | '.join(cells)} |")
        lines += ["", "Median (mean) regret in per cent after so many full trainings", ""]
        lines += [f"| method | {' | '.join(map(str, COMPUTES))} |", "|---|" + "---|" * len(COMPUTES)]
        for name, values in methods["methods"].items():
            cells = [_pair(values["at"].get(str(c))) for c in COMPUTES]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        for name in (EXPLORED, REPLICATED):
            values = methods["methods"].get(name)
            if values:
                triples = zip(header["trials"], values["compute"], values["median_regret"], strict=True)
                row = "; ".join(f"{n} trials {c:.0f}, {100 * r:.1f} %" for n, c, r in triples)
                lines += ["", f"{name}, compute and median regret: {row}."]
    return "\n".join(lines) + "\n"


def _at(curve: Curve, anytime: bool) -> dict[str, list[float | None]]:
    """Median and mean regret after amounts of compute; for a sweep interpolated in logs."""
    by_compute: dict[str, list[float | None]] = {}
    compute, median = curve.medians()
    mean = curve.regret.mean(axis=0)
    for target in COMPUTES:
        if not compute[0] <= target <= compute[-1]:
            continue
        if anytime:
            i = int(np.searchsorted(compute, target, side="right")) - 1
            by_compute[str(target)] = [_plain(median[i]), _plain(mean[i])]
        else:
            each = (np.exp(np.interp(math.log(target), np.log(compute), np.log(y + 1e-9))) for y in (median, mean))
            by_compute[str(target)] = [_plain(x) for x in each]
    return by_compute


def _plain(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _reach(values: list[float | None], most: float | None) -> str:
    reached, low, high = values
    above = f"> {most:.0f}" if most else "not reached"
    if reached is None:
        return above
    return f"{reached:.1f} [{'∞' if low is None else f'{low:.1f}'}, {'∞' if high is None else f'{high:.1f}'}]"


def _ratio(methods: dict[str, Any], mine: str, peer: str, regret: str) -> str:
    own = methods[mine]["reach"][regret][0]
    theirs = methods[peer]["reach"][regret][0]
    if own is None:
        return "–"
    return f"< {own / PEERS[peer]:.2f}" if theirs is None else f"{own / theirs:.2f}"


def _pair(values: list[float | None] | None) -> str:
    if values is None or values[0] is None:
        return "–"
    return f"{100 * values[0]:.1f} ({'–' if values[1] is None else f'{100 * values[1]:.1f}'})"
