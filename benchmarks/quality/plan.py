"""Which searches are simulated: every method, every repeat, spread over processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from multiprocessing import get_context

import numpy as np
import optuna

from benchmarks.quality.curves import FOLDER, QUADRATIC, SETTINGS, Curves, Floats
from benchmarks.quality.own import Phitune, Settings
from benchmarks.quality.peers import Random, Tpe, TpeAsha
from benchmarks.quality.scores import Curve, anytime
from benchmarks.quality.simulation import Method, Trace, simulate
from benchmarks.quality.table import Table, quadratic_table, recorded_table

WORKLOADS = ("quadratic", *SETTINGS)
RANDOM, TPE, RECIPE = "random search", "TPE, no stopping", "Ray's recipe"
# Full trainings that a peer may spend.
PEERS = {RANDOM: 400.0, TPE: 64.0, RECIPE: 112.0}
# Of phitune.
TRIALS = (10, 20, 40, 80)

_table: Table


def recorded() -> list[str]:
    """The workloads that can be simulated: the quadratic, and those with enough curves."""
    return [name for name in WORKLOADS if name == "quadratic" or len(_curves(name).loss)]


def _curves(name: str) -> Curves:
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        return Curves([], np.empty(0), np.empty(0), np.empty((0, 0)), np.empty((0, 0), dtype=np.int64), 1.0, {})
    return Curves.load(path).complete()


def table(name: str) -> Table:
    """A workload's table; its curves must have been recorded."""
    if name == "quadratic":
        return quadratic_table(QUADRATIC)
    return recorded_table(SETTINGS[name], _curves(name))


def peers(tabled: Table, repeats: int, processes: int) -> dict[str, Curve]:
    """The peers' curves on one workload."""
    jobs = [(name, seed) for name in PEERS for seed in range(repeats)]
    traces = dict(zip(jobs, _spread(tabled, _peer, jobs, processes), strict=True))
    return {name: anytime([traces[name, seed] for seed in range(repeats)], _grid(most)) for name, most in PEERS.items()}


def own(tabled: Table, settings: Settings, trials: Iterable[int], repeats: int, processes: int) -> tuple[Curve, Curve]:
    """phitune's curves over the number of trials: when all is explored, and with replicates."""
    jobs = [(settings, count, seed) for seed in range(repeats) for count in trials]
    ends: Floats = np.array(_spread(tabled, _own, jobs, processes)).reshape(repeats, -1, 2, 2)
    return Curve(ends[:, :, 0, 0], ends[:, :, 0, 1]), Curve(ends[:, :, 1, 0], ends[:, :, 1, 1])


def _grid(most: float) -> Floats:
    return np.geomspace(1, most, 241)


def _peer(job: tuple[str, int]) -> Trace:
    name, seed = job
    method: Method
    if name == RANDOM:
        method = Random(_table.cell, seed)
    else:
        method = {TPE: Tpe, RECIPE: TpeAsha}[name](_table.cell, seed, _table.cap)
    return simulate(method, _table, seed, PEERS[name])


def _own(job: tuple[Settings, int, int]) -> list[tuple[float, float]]:
    settings, trials, seed = job
    trace = simulate(Phitune(_table, seed, trials, settings), _table, seed, np.inf)
    return [(trace.compute[i], trace.regret[i]) for i in (trials - 1, -1)]


def _spread(tabled: Table, function, jobs: list, processes: int) -> list:  # type: ignore[no-untyped-def,type-arg]
    with get_context("fork").Pool(processes, _start, (tabled,)) as pool:
        return pool.map(function, jobs, chunksize=4)


def _start(tabled: Table) -> None:
    global _table
    _table = tabled
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
