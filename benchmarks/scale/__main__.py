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
    arguments = parser.parse_args()
    content: dict[str, Any] = machine.header()
    if arguments.what == "nodes":
        content["rows"] = [over_nodes(count, arguments.trials or 400, arguments.timeout) for count in arguments.nodes]
    elif arguments.what == "alive":
        content["rows"] = [alive(count, arguments.timeout) for count in arguments.alive]
    else:
        content |= {"cells": arguments.cells, "slots": arguments.slots}
        content["rows"] = simulate(arguments.trials or 50_000, arguments.cells, arguments.slots)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"scale-{arguments.what}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
