"""One study of many cells: the driver's memory and the time a trial as the ended trials grow."""

from __future__ import annotations

import csv
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.overhead.contenders.phitune_search import DATABASE, JOURNAL, one_cell, search_command
from benchmarks.overhead.figures import recorded_runs
from benchmarks.overhead.meter import Sample, metered

_BUDGETS = 10
_EVERY = 1.0
# Shares of the trials whose means are given. Cells move on together and each begins with a Sobol sequence, so flat
# means: the last stretch like the one before it.
_STRETCHES = {"first": (0.1, 0.4), "middle": (0.6, 0.75), "last": (0.83, 0.98)}


def study_of(trials: int, cells: int) -> dict[str, Any]:
    """Quadratics of several κ times ten budgets of 32 to 68 iterations.

    Raises:
        ValueError: The cells are not a multiple of ten.
    """
    if cells % _BUDGETS:
        raise ValueError(f"--cells: {cells} is not a multiple of {_BUDGETS}")
    kappas = np.geomspace(10, 1000, cells // _BUDGETS).round(2).tolist()
    return {
        **one_cell(trials // cells),
        "name": "scale",
        "workloads": [{"name": "quadratic", "kappa": kappa, "noise": 0.03} for kappa in kappas],
        "budgets": [32 + 4 * number for number in range(_BUDGETS)],
    }


def scale(trials: int, cells: int, overrides: list[str], timeout: float, out: Path) -> bool:
    """Runs the study; prints and writes the curve. Whether all trials ended and MLflow has them."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        command = search_command(folder, study_of(trials, cells), overrides)
        counter = _Lines(folder / JOURNAL)
        run = metered(command, folder, machine.environment(), timeout, _EVERY, counter.count)
        ended = counter.count()
        output = (folder / "output.txt").read_text(encoding="utf-8")
        database = folder / DATABASE
        recorded = recorded_runs(database) if database.exists() else 0
    steady = [sample for sample in run.samples if 0 < sample.note < ended]
    if len(steady) < 10:
        print(f"{ended} trials ended, exit code {run.code}\n{output[-2000:]}")
        return False
    summary = {
        **machine.header(),
        "trials": ended,
        "cells": cells,
        "in_mlflow": recorded,
        "wall_s": round(run.ended - run.began, 1),
        "drain_s": round(
            run.ended - next(sample.at for sample in run.samples if sample.note == run.samples[-1].note), 1
        ),
        **{name: _stretch(steady, ended, between) for name, between in _STRETCHES.items()},
    }
    for key, value in summary.items():
        print(f"{key}: {value}")
    _write(steady, summary, out)
    return run.code == 0 and ended >= trials and recorded == ended


class _Lines:
    """Counts the lines of a growing file, reading only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines = 0

    def count(self) -> int:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read += len(new)
            self._lines += new.count(b"\n")
        return self._lines


def _stretch(samples: list[Sample], ended: int, between: tuple[float, float]) -> dict[str, float]:
    """Ms a trial, CPU ms a trial and the driver's mean MiB between two shares of the trials."""
    inside = [sample for sample in samples if between[0] * ended <= sample.note <= between[1] * ended]
    if len(inside) < 2:
        return {}
    first, last = inside[0], inside[-1]
    count = max(last.note - first.note, 1)
    return {
        "from": first.note,
        "to": last.note,
        "ms_a_trial": round(1e3 * (last.at - first.at) / count, 2),
        "driver_cpu_ms": round(1e3 * (last.cpu["driver"] - first.cpu["driver"]) / count, 2),
        "driver_mib": round(float(np.mean([sample.driver_mib for sample in inside])), 1),
    }


def _write(samples: list[Sample], summary: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "overhead-scale.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    curve = _curve(samples)
    with (out / "overhead-scale.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trials_ended", "seconds", "ms_a_trial", "driver_cpu_ms_a_trial", "driver_mib", "all_mib"])
        writer.writerows([f"{value:.6g}" for value in row] for row in curve)
    _draw(curve, summary, out / "overhead-scale.png")
    print(f"{out / 'overhead-scale.json'}, .csv, .png")


def _curve(samples: list[Sample], points: int = 100) -> NDArray[np.float64]:
    """Trials ended, seconds, ms and driver CPU ms a trial since the last point, driver's and all MiB."""
    chosen = samples[:: max(1, len(samples) // points)]
    rows = [
        (
            now.note,
            now.at - samples[0].at,
            1e3 * (now.at - then.at) / (now.note - then.note),
            1e3 * (now.cpu["driver"] - then.cpu["driver"]) / (now.note - then.note),
            now.driver_mib,
            now.all_mib,
        )
        for then, now in pairwise(chosen)
        if now.note > then.note
    ]
    return np.array(rows)


def _draw(curve: NDArray[np.float64], summary: dict[str, Any], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (time_axis, memory_axis) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
    time_axis.plot(curve[:, 0], curve[:, 2], label="wall")
    time_axis.plot(curve[:, 0], curve[:, 3], label="driver's CPU")
    time_axis.set(ylabel="ms a trial", ylim=(0, None))
    time_axis.legend()
    time_axis.set_title(
        f"phitune search, {summary['cells']} cells; {summary['machine']}, {summary['date']}", fontsize=9
    )
    memory_axis.plot(curve[:, 0], curve[:, 4])
    memory_axis.set(xlabel="trials ended", ylabel="driver's memory, MiB", ylim=(0, 1.1 * curve[:, 4].max()))
    figure.savefig(path, dpi=120)
    plt.close(figure)
