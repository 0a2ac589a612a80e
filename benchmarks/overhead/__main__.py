"""What orchestration costs a trial, side by side; how it grows; what a proposal costs.

    python -m benchmarks.overhead [--trials 500] [--only phitune,optuna] [--rounds 1] [--set KEY=VALUE]
                                  [--syne-tune-python PATH] [--out benchmarks/results]
    python -m benchmarks.overhead scale [--trials 10000] [--cells 200]
    python -m benchmarks.overhead proposals [--trials 1000]

The first runs phitune, Ray Tune (as documented; with actor reuse), Optuna alone and Syne Tune on the same trials; the
second one study of many cells, its driver's memory and time a trial along the way; the third the proposer without Ray.
Each prints its figures and writes them, with machine and versions, to the folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.overhead.compare import compare
from benchmarks.overhead.proposals import proposals
from benchmarks.overhead.scale import scale


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("compare", "scale", "proposals"), default="compare")
    parser.add_argument("--trials", type=int, help="500 to compare, 10000 to scale, 1000 proposals")
    parser.add_argument("--cells", type=int, default=200, help="scale: cells of the study")
    parser.add_argument("--only", help="compare: names, with commas")
    parser.add_argument("--rounds", type=int, default=1, help="compare: how often the line-up is run")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="KEY=VALUE of phitune's study")
    parser.add_argument("--syne-tune-python", help="compare: an interpreter that has syne-tune and numpy")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one process")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    good = True
    if arguments.what == "compare":
        only = arguments.only.split(",") if arguments.only else None
        trials = arguments.trials or 500
        good = compare(
            trials,
            only,
            arguments.rounds,
            arguments.out,
            arguments.syne_tune_python,
            arguments.overrides,
            arguments.timeout,
        )
    elif arguments.what == "scale":
        good = scale(arguments.trials or 10_000, arguments.cells, arguments.overrides, arguments.timeout, arguments.out)
    else:
        proposals(arguments.trials or 1000, arguments.out)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
