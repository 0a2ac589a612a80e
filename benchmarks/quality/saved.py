"""Trainings that earlier studies of other workloads save a new one, and what its LR is found by.

python -m benchmarks.quality saved [--repeats 20]     # writes results/saved.json and saved.md

Each workload is searched as a new one: with nothing, with what 30 trials of each cell of the others say, with a range
of LRs from a few iterations at constant LRs (`range_test`), and with both. Searches run one trial after another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.quality import lr_transfer
from benchmarks.quality.curves import Floats
from benchmarks.quality.lr_transfer import range_test, workload_of
from benchmarks.quality.own import Phitune, Settings
from benchmarks.quality.plan import table
from benchmarks.quality.simulation import simulate
from benchmarks.quality.table import Table
from phitune.search.proposing.warm_start import EarlierCell
from phitune.search.study.range_test import SEARCHED

NAMES = (*lr_transfer.NAMES, "gpt-150")
TRIALS = 30
MARKS = tuple(range(1, 17))
GOALS = (0.10, 0.05, 0.02)


@dataclass(frozen=True)
class Variant:
    """What a search knows beforehand: a range of LRs, other workloads' trials, none of them of its own name."""

    ranged: bool = False
    guided: bool = False
    strangers: bool = False


VARIANTS = {
    "nothing": Variant(),
    "range and guide": Variant(ranged=True, guided=True),
    "range": Variant(ranged=True),
    "guide": Variant(guided=True),
    "range and guide, none of its name": Variant(ranged=True, guided=True, strangers=True),
}


@cache
def trials(name: str) -> list[EarlierCell]:
    """What a search of a cell leaves behind."""
    made = table(name)
    search = Phitune(made, 1000, TRIALS, Settings(early_stopping="none", replicates=0))
    simulate(search, made, 1000, [TRIALS + 1.0])
    return [replace(each, group=f"{workload_of(name)} {made.cell.optimizer.label}") for each in search.earlier()]


def regrets(name: str, variant: Variant, seeds: Sequence[int]) -> Floats:
    """Regret of the choice after each number of `MARKS` of trainings, [seeds, marks]."""
    made = table(name)
    if variant.ranged:
        low, high = made.cell.base_lr
        ends = max(low, SEARCHED[0] * range_test(name)), min(high, SEARCHED[1] * range_test(name))
        made = replace(made, cell=replace(made.cell, base_lr=ends))
    others = [
        cell
        for other in NAMES
        if variant.guided and workload_of(other) != workload_of(name)
        if not variant.strangers or other.partition("-")[0] != name.partition("-")[0]
        for cell in trials(other)
    ]
    return np.array([_search(made, others, seed) for seed in seeds])


def _search(made: Table, others: Sequence[EarlierCell], seed: int) -> Floats:
    search = Phitune(made, seed, 300, Settings(early_stopping="none"), others)
    # The trainings that have ended by then: a mark is passed when the next has.
    return simulate(search, made, seed, [mark + 0.5 for mark in MARKS], slots=1).regret


def trainings(regret: Floats, goal: float) -> Floats:
    """Trainings from which on the choice was within a goal, [searches]; beyond the last mark: infinite."""
    within = np.logical_and.accumulate((regret <= goal)[:, ::-1], axis=1)[:, ::-1]
    return np.where(within.any(axis=1), np.array(MARKS, dtype=np.float64)[within.argmax(axis=1)], np.inf)


def ratio(alone: dict[str, Floats], helped: dict[str, Floats], goal: float, seed: int = 0) -> dict[str, float]:
    """Trainings with help over those without: geometric mean over cells of medians' ratios, 90 % bootstrap interval.

    Of a search that never came within the goal, one mark more than the last counts.
    """
    rng = np.random.default_rng(seed)
    limit = float(MARKS[-1] + 1)
    pairs = [[np.minimum(trainings(each[name], goal), limit) for each in (alone, helped)] for name in helped]

    def mean(draws: bool) -> float:
        logs = []
        for pair in pairs:
            medians = [np.median(rng.choice(each, len(each)) if draws else each) for each in pair]
            logs.append(math.log(medians[1] / medians[0]))
        return math.exp(float(np.mean(logs)))

    low, high = np.quantile([mean(True) for _ in range(2000)], [0.05, 0.95])
    return {"ratio": mean(False), "low": float(low), "high": float(high)}


Rows = list[list[float | None]]


def run(repeats: int, out: Path) -> None:
    """Searches every cell with every variant and writes `saved.json` and `saved.md`; goes on where it was."""
    path = out / "saved.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    curves: dict[str, dict[str, Rows]] = kept.get("regret", {})
    for name in NAMES:
        for label, variant in VARIANTS.items():
            if variant.strangers and not name.startswith("quadratic"):
                continue
            known = curves.setdefault(label, {}).setdefault(name, [])
            if len(known) < repeats:
                more = regrets(name, variant, range(len(known), repeats)).round(5)
                known += [[each if math.isfinite(each) else None for each in row] for row in more.tolist()]
                _write(curves, repeats, out)
                print(label, name, flush=True)


def _write(curves: dict[str, dict[str, Rows]], repeats: int, out: Path) -> None:
    arrays = {
        label: {name: np.nan_to_num(np.array(rows, dtype=np.float64), nan=np.inf) for name, rows in cells.items()}
        for label, cells in curves.items()
    }
    saved = {
        label: {f"{goal:.0%}": ratio(arrays["nothing"], cells, goal) for goal in GOALS}
        for label, cells in arrays.items()
        if label != "nothing" and cells
    }
    header = {**machine.header(("phitune", "numpy")), "n": f"{repeats} simulated searches a cell and variant"}
    header["command"] = f"python -m benchmarks.quality saved --repeats {repeats}"
    tests = {name: range_test(name) for name in NAMES}
    content = {"header": header, "saved": saved, "range_test": tests, "regret": curves}
    (out / "saved.json").write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    lines = ["# Trainings saved by other workloads' trials", "", *(f"- {key}: {each}" for key, each in header.items())]
    lines += ["", "Trainings with help over those without, geometric mean over cells (90 % bootstrap interval):", ""]
    lines += ["| | " + " | ".join(f"to {goal:.0%}" for goal in GOALS) + " |", "|---" * (len(GOALS) + 1) + "|"]
    for label, each in saved.items():
        texts = [f"{r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in each.values()]
        lines.append(f"| {label} ({len(arrays[label])} cells) | " + " | ".join(texts) + " |")
    lines += ["", "Median trainings to regrets of 10, 5 and 2 %; median (mean) regret in % after 4, 8 and 16:", ""]
    lines += ["| cell | range test | known beforehand | 10, 5, 2 % | 4 | 8 | 16 |", "|---|---|---|---|---|---|---|"]
    for name in NAMES:
        for label, cells in arrays.items():
            if name in cells:
                lines.append(f"| {name} | {tests[name]:.2g} | {label} | {_row(cells[name])} |")
    (out / "saved.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(regret: Floats) -> str:
    medians = [float(np.median(trainings(regret, goal))) for goal in GOALS]
    texts = [", ".join("–" if math.isinf(each) else f"{each:g}" for each in medians)]
    for mark in (4, 8, 16):
        column = 100.0 * regret[:, MARKS.index(mark)]
        texts.append(f"{np.median(column):.1f} ({column.mean():.1f})")
    return " | ".join(texts)
