"""From when trials ended and what the processes used to the figures of the table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.overhead.contender import SLOTS, End
from benchmarks.overhead.meter import Metered
from benchmarks.overhead.problem import BUDGET

# Steady state: between these shares of the trials. The first ones wait for processes, the last ones leave slots empty.
STEADY = (0.10, 0.95)


@dataclass(frozen=True)
class Figures:
    """One run of one contender.

    Attributes:
        trials: That ended.
        start_s: From the start of the process to the first ended trial.
        steady_ms: Wall a trial in steady state.
        to_exit_ms: Wall a trial from the beginning of the steady state to the process's exit: writing to MLflow
            what is left and taking down Ray are in it.
        drain_s: From the last ended trial to the exit.
        wall_s: The whole process.
        training_ms: CPU of a trial's own training, from its iterations and a bare loop's speed.
        orchestration_ms: `steady_ms` × slots − `training_ms`: what a slot is held besides training.
        cpu_ms: CPU a trial in steady state by kind of process.
        recorded: Ended runs in MLflow's database, None without one.
        load: Load average of the machine at the start.
    """

    trials: int
    start_s: float
    steady_ms: float
    to_exit_ms: float
    drain_s: float
    wall_s: float
    training_ms: float
    orchestration_ms: float
    cpu_ms: dict[str, float]
    recorded: int | None
    load: float

    def values(self) -> dict[str, Any]:
        return asdict(self)


def figures(metered: Metered, ends: list[End], bare_ms: float, recorded: int | None, load: float) -> Figures:
    """The figures of a run.

    Raises:
        ValueError: Fewer than ten trials ended.
    """
    if len(ends) < 10:
        raise ValueError(f"only {len(ends)} trials ended, exit code {metered.code}")
    first, last = (int(share * (len(ends) - 1)) for share in STEADY)
    start, end = ends[first].at, ends[last].at
    steady = 1e3 * (end - start) / (last - first)
    training = bare_ms * sum(one.steps for one in ends) / len(ends) / BUDGET
    return Figures(
        trials=len(ends),
        start_s=ends[0].at - metered.began,
        steady_ms=steady,
        to_exit_ms=1e3 * (metered.ended - start) / (len(ends) - 1 - first),
        drain_s=metered.ended - ends[-1].at,
        wall_s=metered.ended - metered.began,
        training_ms=training,
        orchestration_ms=steady * SLOTS - training,
        cpu_ms={kind: 1e3 * cpu / (last - first) for kind, cpu in metered.cpu_between(start, end).items()},
        recorded=recorded,
        load=load,
    )


def middle(rounds: list[Figures]) -> Figures:
    """The round with the median `steady_ms`."""
    median_ms = median(sorted(one.steady_ms for one in rounds)[: 2 * ((len(rounds) - 1) // 2) + 1])
    return min(rounds, key=lambda one: abs(one.steady_ms - median_ms))


def recorded_runs(database: Path) -> int:
    """Ended runs of trials in MLflow's database; those of phitune's study, cells and finalists do not count."""
    others = "SELECT run_uuid FROM tags WHERE key = 'phitune.kind' AND value != 'trial'"
    query = f"SELECT COUNT(*) FROM runs WHERE status != 'RUNNING' AND run_uuid NOT IN ({others})"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])
