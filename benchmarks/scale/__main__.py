"""`python -m benchmarks.scale [nodes|alive|simulated]`: writes benchmarks/results/scale-*.json.

`nodes`: a real search of many short trials on 1, 2, 4 and 8 Ray nodes of this machine. `alive`: real searches with more
and more trials alive at once, which wait. `simulated`: 50,000 trials in 200 cells on 1,000 slots, durations drawn,
without Ray. How fast MLflow takes rows: `benchmarks.tracking_speed`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.scale.live import alive
from benchmarks.scale.nodes import over_nodes
from benchmarks.scale.simulated import simulate

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("nodes", "alive", "simulated"))
    parser.add_argument("--trials", type=int, help="400 on nodes, 50000 simulated.")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--alive", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--cells", type=int, default=200, help="Simulated; a multiple of ten.")
    parser.add_argument("--slots", type=int, default=1000, help="Simulated.")
    parser.add_argument("--timeout", type=float, default=900.0, help="Seconds for each search.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found: dict[str, Any] = machine.header()
    if given.what == "nodes":
        found["rows"] = [over_nodes(count, given.trials or 400, given.timeout) for count in given.nodes]
    elif given.what == "alive":
        found["rows"] = [alive(count, given.timeout) for count in given.alive]
    else:
        found |= {"cells": given.cells, "slots": given.slots}
        found["rows"] = simulate(given.trials or 50_000, given.cells, given.slots)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"scale-{given.what}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
