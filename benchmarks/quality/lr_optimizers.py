"""Does the range test carry over with both optimizers? On the networks of docs/results/networks, at all their budgets.

python -m benchmarks.quality optimizers     # writes results/lr-optimizers.json and lr-optimizers.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.quality.lr_transfer import lowest, of_trained
from phitune.search.study.range_test import ITERATIONS, SEARCHED
from phitune.trainables.spec import Spec

GUIDELINES = Path(__file__).parents[2] / "docs" / "results" / "networks" / "guidelines.json"
OPTIMIZERS = ("sgd", "adamw")

Row = dict[str, Any]


def cells() -> list[Row]:
    """Of each cell the recommended base LR, and what the range test of its workload and optimizer finds."""
    told = json.loads(GUIDELINES.read_text(encoding="utf-8"))["cells"]
    tests = {
        (label, optimizer): lowest(of_trained(Spec.parse(label), optimizer))
        for label, optimizer in sorted({(cell["label"], cell["optimizer"]) for cell in told})
    }
    return [
        {
            "workload": cell["label"],
            "optimizer": cell["optimizer"],
            "budget": cell["budget"],
            "base_lr": cell["base_lr"],
            "range_test": tests[cell["label"], cell["optimizer"]],
        }
        for cell in told
    ]


def error(rows: list[Row], reference: Callable[[Row], float], pooled: bool, optimizer: str) -> float:
    """Root mean square error of log base LR, predicted from the other workloads' ratio to a reference.

    Args:
        rows: From `cells`.
        reference: What the ratio is to.
        pooled: Whether ratios of both optimizers are averaged as one.
        optimizer: Whose cells are predicted.
    """
    ratios = {(r["workload"], r["optimizer"], r["budget"]): math.log(r["base_lr"] / reference(r)) for r in rows}
    squares = []
    for (workload, own, _), ratio in ratios.items():
        others = [r for (w, o, _), r in ratios.items() if w != workload and (pooled or o == own)]
        if own == optimizer:
            squares.append((ratio - float(np.mean(others))) ** 2)
    return math.sqrt(float(np.mean(squares)))


def run(out: Path) -> None:
    """Writes `lr-optimizers.json` and `lr-optimizers.md`."""
    rows = cells()
    header = {**machine.header(("phitune", "torch", "numpy")), "n": f"{len(rows)} cells, one range test each network"}
    header["command"] = "python -m benchmarks.quality optimizers"
    lines = ["# The range test with both optimizers", "", *(f"- {key}: {each}" for key, each in header.items()), ""]
    lines += [
        "Root mean square error of log base LR, predicted from the other workloads' mean ratio to a reference:",
        "",
    ]
    lines += ["| budgets | optimizer | cells | nothing, both as one | nothing | range test, both as one | range test |"]
    lines += ["|---|---|---|---|---|---|---|"]
    references: list[Callable[[Row], float]] = [lambda r: 1.0, lambda r: float(r["range_test"])]
    for least in (0, ITERATIONS):
        some = [row for row in rows if row["budget"] >= least]
        for optimizer in OPTIMIZERS:
            errors = [error(some, each, pooled, optimizer) for each in references for pooled in (True, False)]
            n = sum(row["optimizer"] == optimizer for row in some)
            name = f"{least} and more" if least else "all"
            lines.append(f"| {name} | {optimizer} | {n} | {' | '.join(f'{each:.2f}' for each in errors)} |")
    inside = [SEARCHED[0] <= row["base_lr"] / row["range_test"] <= SEARCHED[1] for row in rows]
    lines += [
        "",
        f"Of {len(rows)} base LRs {sum(inside)} lie between {SEARCHED[0]:g} and {SEARCHED[1]:g} times what the range ",
    ]
    lines[-1] += "test finds. Base LR over that, by budget:"
    lines += ["", "| network | optimizer | range test | base LR ÷ that (budget) |", "|---|---|---|---|"]
    for workload, optimizer in sorted({(row["workload"], row["optimizer"]) for row in rows}):
        mine = [row for row in rows if (row["workload"], row["optimizer"]) == (workload, optimizer)]
        ratios = ", ".join(f"{row['base_lr'] / row['range_test']:.2g} ({row['budget']})" for row in mine)
        lines.append(f"| {workload} | {optimizer} | {mine[0]['range_test']:.2g} | {ratios} |")
    (out / "lr-optimizers.json").write_text(
        json.dumps({"header": header, "cells": rows}, indent=1) + "\n", encoding="utf-8"
    )
    (out / "lr-optimizers.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
