"""The script that Syne Tune starts for every trial."""

from __future__ import annotations

import argparse

from benchmarks.overhead.problem import reports


def main() -> None:
    from syne_tune import Reporter

    parser = argparse.ArgumentParser()
    parser.add_argument("--family")
    parser.add_argument("--phi", type=float)
    parser.add_argument("--base_lr", type=float)
    arguments, _ = parser.parse_known_args()
    tell = Reporter()
    for report in reports(arguments.family, arguments.phi, arguments.base_lr):
        tell(report=report.number, loss=report.loss, steps=report.step)


if __name__ == "__main__":
    main()
