"""How good a search's final choice is for the compute it took: searches simulated over recorded curves.

python -m benchmarks.quality record               # one core; goes on where it was; kept in results/curves
python -m benchmarks.quality check                # how far the recorded truths can be trusted
python -m benchmarks.quality simulate             # all workloads; writes results/quality.md and .json
python -m benchmarks.quality vary                 # phitune's settings, one changed at a time
python -m benchmarks.quality lrs                  # what carries over of the best LR; writes results/lrs.md, .json
python -m benchmarks.quality optimizers           # the same with both optimizers; results/lr-optimizers.md, .json
python -m benchmarks.quality saved                # trainings that other workloads' trials save; results/saved.md, .json

BoTorch, one of the peers, is in the extra `bench`; without it, leave it out with --peers.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.quality import lr_optimizers, lr_transfer, saved
from benchmarks.quality.check import disagreement
from benchmarks.quality.curves import FOLDER, SETTINGS, Curves
from benchmarks.quality.plan import CONTENDERS, WORKLOADS, curve, recorded, table
from benchmarks.quality.record import record
from benchmarks.quality.report import figures, write
from benchmarks.quality.variations import vary

PACKAGES = ("phitune", "ray", "optuna", "botorch", "torch", "numpy", "scikit-learn")


def main() -> None:
    arguments = parse()
    if arguments.command == "record":
        for name in arguments.workloads:
            record(SETTINGS[name], FOLDER / f"{name}.npz", arguments.minutes)
    elif arguments.command == "check":
        for name in arguments.workloads:
            if (FOLDER / f"{name}.npz").exists():
                curves = Curves.load(FOLDER / f"{name}.npz")
                print(f"{name}: {len(curves)} runs; {disagreement(SETTINGS[name], curves)}", flush=True)
    elif arguments.command == "simulate":
        simulate_all(arguments)
    elif arguments.command == "lrs":
        lr_transfer.run(arguments.out)
    elif arguments.command == "optimizers":
        lr_optimizers.run(arguments.out)
    elif arguments.command == "saved":
        saved.run(arguments.repeats, arguments.out)
    else:
        vary(arguments.workloads, arguments.repeats, arguments.processes, arguments.only)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="train configurations until two halves of the runs agree")
    recording.add_argument("--minutes", type=float, default=30, help="at most, a workload")
    checking = commands.add_parser("check", help="how far surfaces through two halves of the runs are apart")
    for each in (recording, checking):
        each.add_argument("workloads", nargs="*", default=list(SETTINGS), metavar="workload", help=", ".join(SETTINGS))
    simulating = commands.add_parser("simulate", help="regret against compute of phitune and its peers")
    varying = commands.add_parser("vary", help="regret and compute of phitune with other settings")
    for each in (simulating, varying):
        each.add_argument("--workloads", nargs="+", default=recorded(), choices=WORKLOADS, metavar="workload")
        each.add_argument("--repeats", type=int, default=100)
        each.add_argument("--processes", type=int, default=2)
    simulating.add_argument("--only", nargs="+", default=list(CONTENDERS), choices=CONTENDERS, metavar="method")
    simulating.add_argument("--out", type=Path, default=FOLDER.parent)
    saving = commands.add_parser("saved", help="trainings that other workloads' trials save a new one")
    saving.add_argument("--repeats", type=int, default=20)
    transferring = commands.add_parser("lrs", help="what carries over of the best LR between workloads")
    both = commands.add_parser("optimizers", help="what carries over with each optimizer, on eight networks")
    for each in (saving, transferring, both):
        each.add_argument("--out", type=Path, default=FOLDER.parent)
    varying.add_argument("--only", nargs="+", default=None, help="parts of the variations' names")
    return parser.parse_args()


def simulate_all(arguments: argparse.Namespace) -> None:
    begun = time.perf_counter()
    content: dict[str, Any] = {}
    for name in arguments.workloads:
        tabled = table(name)
        curves = {
            method: curve(tabled, CONTENDERS[method], arguments.repeats, arguments.processes)
            for method in arguments.only
        }
        content[name] = {"about": f"{tabled.cell.budget} iterations; {tabled.note}.", "methods": figures(curves)}
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
        header = {
            **machine.header(PACKAGES),
            "n": f"{arguments.repeats} simulated searches a method and workload, unless a row says otherwise",
            "wall_seconds": round(time.perf_counter() - begun),
        }
        write(content, header, arguments.out)


if __name__ == "__main__":
    main()
