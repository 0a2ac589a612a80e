"""What a schedule family costs against the best schedule of all, where that can be computed.

    python -m benchmarks.optimum [--processes 2] [--budgets 50 200 800 3200]
    python -m benchmarks.optimum report    # writes the tables and the figure of what is recorded

Other budgets' cells stay as they are recorded.

Writes benchmarks/results/optimum.json and optimum.md, and docs/figures/one-parameter.png.
"""

from __future__ import annotations

import argparse
import json
from multiprocessing import get_context
from pathlib import Path

from benchmarks import machine
from benchmarks.optimum import figure, report
from benchmarks.optimum.plan import BUDGETS, WORKLOADS, Cell, measured

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
FIGURE = ROOT / "docs" / "figures" / "one-parameter.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("all", "report"), default="all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS))
    arguments = parser.parse_args()
    kept = RESULTS / "optimum.json"
    if arguments.what == "all":
        cells = [Cell(workload, budget) for budget in sorted(arguments.budgets) for workload in WORKLOADS]
        before = json.loads(kept.read_text(encoding="utf-8"))["cells"] if kept.exists() else []
        rows = [row for row in before if row["budget"] not in arguments.budgets]
        with get_context("spawn").Pool(arguments.processes) as pool:
            for row in pool.imap(measured, cells):
                print(row["workload"], row["budget"], f"{row['loss']:.4g}", flush=True)
                rows.append(row)
                content = {**machine.header(("phitune", "numpy", "scipy")), "cells": rows}
                kept.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    content = json.loads(kept.read_text(encoding="utf-8"))
    (RESULTS / "optimum.md").write_text(report.text(content), encoding="utf-8")
    figure.draw(content["cells"], FIGURE)
    print(f"{kept}, {RESULTS / 'optimum.md'}, {FIGURE}")


if __name__ == "__main__":
    main()
