"""Whether the analysis is right where the answer is known.

    python -m benchmarks.validity quadratics [--out DIR] [--trials 50] [--small]   # searches 75 cells, then scores them
    python -m benchmarks.validity simulated [--cells 300] [--studies 300]          # the analysis alone

Writes benchmarks/results/validity-quadratics.json and validity-simulated.json with machine, versions and n.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import machine
from benchmarks.validity import quadratics, simulated, trends

RESULTS = Path(__file__).parents[1] / "results"
SMALL = quadratics.Plan(kappas=(10.0, 1000.0), noises=(0.3,), budgets=(50, 100, 200), trials=40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    searched = kinds.add_parser("quadratics")
    searched.add_argument("--out", type=Path, default=Path("runs-validity"))
    searched.add_argument("--trials", type=int, default=50)
    searched.add_argument("--seed", type=int, default=0)
    searched.add_argument("--small", action="store_true", help="6 cells, to see that it works")
    made = kinds.add_parser("simulated")
    made.add_argument("--cells", type=int, default=300)
    made.add_argument("--studies", type=int, default=300)
    arguments = parser.parse_args()
    if arguments.kind == "quadratics":
        plan = SMALL if arguments.small else quadratics.Plan(trials=arguments.trials, seed=arguments.seed)
        found = quadratics.score(quadratics.search(plan, arguments.out))
    else:
        outcomes = [simulated.one(seed) for seed in range(arguments.cells)]
        flats = [simulated.one(seed, flat=True) for seed in range(arguments.cells // 2)]
        summary = simulated.summary(outcomes, flats) | trends.coverage(arguments.studies)
        found = {"summary": summary, "n": {"cells": len(outcomes), "flat": len(flats), "studies": arguments.studies}}
    print(json.dumps(found["summary"], indent=1))
    if not getattr(arguments, "small", False):
        path = RESULTS / f"validity-{arguments.kind}.json"
        path.write_text(json.dumps({**machine.header(), **found}, indent=1) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
