"""How good a search's final choice is for the compute it took: searches simulated over recorded curves.

python -m benchmarks.quality record mlp       # minutes to half an hour a workload, one core; kept in results/curves
python -m benchmarks.quality simulate         # all workloads, 100 repeats; writes results/quality.md and .json
python -m benchmarks.quality vary             # phitune's settings, one changed at a time
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.quality.curves import FOLDER, SETTINGS
from benchmarks.quality.own import Settings
from benchmarks.quality.plan import TRIALS, WORKLOADS, own, peers, recorded, table
from benchmarks.quality.record import record
from benchmarks.quality.report import EXPLORED, REPLICATED, figures, write
from benchmarks.quality.variations import vary

PACKAGES = ("phitune", "ray", "optuna", "torch", "numpy", "scikit-learn")


def main() -> None:
    arguments = parse()
    if arguments.command == "record":
        record(SETTINGS[arguments.workload], FOLDER / f"{arguments.workload}.npz", arguments.seeds)
    elif arguments.command == "simulate":
        simulate_all(arguments)
    else:
        vary(arguments.workloads, arguments.repeats, arguments.processes, arguments.trials, arguments.only)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="train the configurations of a workload's table")
    recording.add_argument("workload", choices=list(SETTINGS))
    recording.add_argument("--seeds", type=int, default=None)
    simulating = commands.add_parser("simulate", help="regret against compute of phitune and its peers")
    varying = commands.add_parser("vary", help="regret and compute of phitune with other settings")
    for each in (simulating, varying):
        each.add_argument("--workloads", nargs="+", default=recorded(), choices=WORKLOADS)
        each.add_argument("--repeats", type=int, default=100)
        each.add_argument("--processes", type=int, default=2)
    simulating.add_argument("--trials", type=int, nargs="+", default=list(TRIALS), help="of phitune, a cell")
    simulating.add_argument("--out", type=Path, default=FOLDER.parent)
    varying.add_argument("--trials", type=int, default=40)
    varying.add_argument("--only", nargs="+", default=None, help="parts of the variations' names")
    return parser.parse_args()


def simulate_all(arguments: argparse.Namespace) -> None:
    begun = time.perf_counter()
    content: dict[str, Any] = {}
    for name in arguments.workloads:
        tabled = table(name)
        curves = peers(tabled, arguments.repeats, arguments.processes)
        explored, replicated = own(tabled, Settings(), arguments.trials, arguments.repeats, arguments.processes)
        curves |= {EXPLORED: explored, REPLICATED: replicated}
        content[name] = {"about": f"{tabled.cell.key}: {tabled.note}.", "methods": figures(curves)}
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
        header = {
            **machine.header(PACKAGES),
            "n": f"{arguments.repeats} simulated searches a method and workload",
            "wall_seconds": round(time.perf_counter() - begun),
            "trials": arguments.trials,
        }
        write(content, header, arguments.out)


if __name__ == "__main__":
    main()
