"""Whether the analysis is right where the answer is known.

    python -m benchmarks.validity quadratics [--out DIR] [--trials 50] [--small]   # searches 75 cells, then scores them
    python -m benchmarks.validity two-parameters [--out DIR]  # φ and the floor together: 36 cells
    python -m benchmarks.validity simulated [--cells 300] [--studies 300]          # a budget a workload, or four
    python -m benchmarks.validity trials [--seeds 5]                               # 20 to 20,000 trials of one cell

Writes benchmarks/results/validity-<kind>.json with machine, versions and n.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks import machine
from benchmarks.validity import many, quadratics, simulated, trends, two_parameters

RESULTS = Path(__file__).parents[1] / "results"
SMALL = quadratics.Plan(kappas=(10.0, 1000.0), noises=(0.3,), budgets=(50, 100, 200), trials=40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    search = kinds.add_parser("quadratics")
    search.add_argument("--out", type=Path, default=Path("runs-validity"))
    search.add_argument("--trials", type=int, default=50)
    search.add_argument("--seed", type=int, default=0)
    search.add_argument("--small", action="store_true", help="6 cells, to see that it works")
    both = kinds.add_parser("two-parameters")
    both.add_argument("--out", type=Path, default=Path("runs-validity-two"))
    simulation = kinds.add_parser("simulated")
    simulation.add_argument("--cells", type=int, default=300)
    simulation.add_argument("--studies", type=int, default=300)
    more = kinds.add_parser("trials")
    more.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.kind == "quadratics":
        plan = SMALL if arguments.small else quadratics.Plan(trials=arguments.trials, seed=arguments.seed)
        content: dict[str, object] = quadratics.score(quadratics.search(plan, arguments.out))
    elif arguments.kind == "two-parameters":
        content = two_parameters.score(quadratics.search(two_parameters.Plan(), arguments.out))
    elif arguments.kind == "trials":
        content = {"summary": many.summary(arguments.seeds), "n": {"seeds": arguments.seeds}}
    else:
        pool, one = Parallel(n_jobs=-1), delayed(simulated.one)
        outcomes = pool(one(seed) for seed in range(arguments.cells))
        flats = pool(one(seed, flat=True) for seed in range(arguments.cells // 2))
        fours = [
            each for four in pool(delayed(simulated.several)(s) for s in range(arguments.cells // 4)) for each in four
        ]
        together = {f"four budgets: {name}": share for name, share in simulated.summary(fours, []).items()}
        summary = simulated.summary(outcomes, flats) | together | trends.coverage(arguments.studies)
        content = {"summary": summary, "n": {"cells": len(outcomes), "flat": len(flats), "studies": arguments.studies}}
    print(json.dumps(content["summary"], indent=1))
    if not getattr(arguments, "small", False):
        path = RESULTS / f"validity-{arguments.kind}.json"
        path.write_text(json.dumps({**machine.header(), **content}, indent=1) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
