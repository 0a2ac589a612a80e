"""Runs the line-up, one contender after the other."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.overhead import report
from benchmarks.overhead.contender import Contender
from benchmarks.overhead.figures import Figures, figures, recorded_runs
from benchmarks.overhead.lineup import contenders
from benchmarks.overhead.meter import metered
from benchmarks.overhead.problem import bare_ms


def compare(
    trials: int,
    only: list[str] | None,
    rounds: int,
    out: Path,
    syne_tune_python: str | None,
    overrides: list[str],
    timeout: float,
) -> bool:
    """Measures, prints and writes; whether everything that was asked for was measured."""
    line_up = contenders(syne_tune_python, overrides)
    if only:
        line_up = [contender for contender in line_up if contender.name in only]
        for name in set(only) - {contender.name for contender in line_up}:
            print(f"{name}: not among {', '.join(one.name for one in contenders(syne_tune_python or 'python', []))}")
    if not syne_tune_python:
        print("syne-tune: left out; name an interpreter that has it and NumPy with --syne-tune-python")
    bare = bare_ms()
    measurements: dict[str, list[Figures]] = {}
    complete = True
    for _ in range(rounds):
        for contender in line_up:
            try:
                one = measure(contender, trials, bare, timeout)
            except (OSError, ValueError) as error:
                print(f"{contender.name}: {error}", flush=True)
                complete = False
                continue
            measurements.setdefault(contender.name, []).append(one)
            print(f"{contender.name}: {one.steady_ms:.1f} ms a trial, {one.wall_s:.0f} s in all", flush=True)
    header = machine.header(machine.PACKAGES, *_peers_version(syne_tune_python))
    header |= {"n": f"{trials} trials, fewer where the table says so; {rounds} rounds, the median one shown"}
    header |= {"training": f"{bare:.1f} ms of CPU for a whole trial in a bare loop"}
    print(report.table(line_up, measurements))
    report.write(out, header, line_up, measurements)
    return complete


def _peers_version(syne_tune_python: str | None) -> list[str]:
    if not syne_tune_python:
        return []
    ask = "from importlib.metadata import version; print(version('syne-tune'))"
    answer = subprocess.run([syne_tune_python, "-c", ask], capture_output=True, text=True, check=False)
    return [f"syne-tune {answer.stdout.strip() or 'unknown'}"]


def measure(contender: Contender, trials: int, bare: float, timeout: float) -> Figures:
    """One contender in a folder of its own.

    Raises:
        ValueError: Too few trials ended; the message holds the end of its output.
    """
    count = min(trials, contender.most or trials)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        run = metered(contender.command(folder, count), folder, machine.environment(), timeout)
        ends = contender.ends(folder)
        if len(ends) < count:
            print(f"{contender.name}: {len(ends)} of {count} trials, exit code {run.code}")
            print("\n".join((folder / "output.txt").read_text(encoding="utf-8").splitlines()[-8:]))
        recorded = recorded_runs(folder / contender.database) if contender.database else None
        return figures(run, ends, bare, recorded, load)
