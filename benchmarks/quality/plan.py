"""Which searches are simulated: every method, every repeat, spread over processes."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.quality import check, curves, exact, smooth
from benchmarks.quality import table as tables
from benchmarks.quality.curves import FOLDER, SETTINGS, Curves
from benchmarks.quality.exact import problem, quadratic_setting, regression_setting
from benchmarks.quality.own import Phitune, Settings
from benchmarks.quality.peers.believing import Believing
from benchmarks.quality.peers.optuna import Optuna
from benchmarks.quality.peers.peer import Peer
from benchmarks.quality.peers.recipe import Recipe
from benchmarks.quality.peers.simple import ByHand, Random, TopK
from benchmarks.quality.scores import Curve
from benchmarks.quality.simulation import Method, Trace, simulate
from benchmarks.quality.table import Table, exact_table, recorded_table

_EXACT = {
    setting.name: setting
    for kappa, budget in ((10, 200), *product((100, 1000), (100, 200, 400, 800, 1600, 3200)))
    for setting in [quadratic_setting(kappa, budget)]
}
_EXACT |= {setting.name: setting for budget in (100, 400, 1600) for setting in [regression_setting(budget)]}
WORKLOADS = (*_EXACT, *SETTINGS)
# Full trainings at which a search is asked for its choice.
MARKS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112)


@dataclass(frozen=True)
class Contender:
    """A search, and how far it is simulated.

    Attributes:
        new: Makes it from a table and a seed.
        most: Full trainings that it may spend.
        repeats: Searches at most, where a proposal takes long.
    """

    new: Callable[[Table, int], Method]
    most: float = 112.0
    repeats: int = 1000


def _sampler(new: Callable[[int], optuna.samplers.BaseSampler], conditional: bool) -> Callable[[Table, int], Peer]:
    return lambda table, seed: Optuna(table.cell, new(seed), table.cap, conditional)


def _botorch(table: Table, seed: int) -> Peer:
    # Of the extra `bench`, which the other peers do not need.
    from benchmarks.quality.peers.botorch import Botorch

    return Botorch(table.cell, seed, table.cap)


def _believing(new: Callable[[Table, int], Method]) -> Callable[[Table, int], Method]:
    return lambda table, seed: Believing(new(table, seed), table.cell, table.points)


def phitune(settings: Settings) -> Contender:
    """phitune with some settings."""
    return Contender(lambda table, seed: Phitune(table, seed, 300, settings), most=64.0)


CONTENDERS = {
    "phitune": phitune(Settings()),
    "phitune, no early stopping": phitune(Settings(early_stopping="none")),
    "phitune, asha": phitune(Settings(early_stopping="asha")),
    "random": Contender(lambda table, seed: Random(table.cell, seed)),
    "top-K after a quarter": Contender(lambda table, seed: TopK(table.cell, seed)),
    "cosine by hand": Contender(lambda table, _: ByHand(table.cell, "cosine")),
    "linear by hand": Contender(lambda table, _: ByHand(table.cell, "linear")),
    "Optuna TPE": Contender(_sampler(lambda seed: optuna.samplers.TPESampler(seed=seed), True)),
    "Optuna TPE, multivariate": Contender(
        _sampler(lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True), True)
    ),
    "Optuna GPSampler": Contender(
        _sampler(lambda seed: optuna.samplers.GPSampler(seed=seed), False), most=40.0, repeats=20
    ),
    "BoTorch qLogNEI": Contender(_botorch, most=40.0, repeats=8),
    "Ray's recipe (TPE, ASHA)": Contender(lambda table, seed: Recipe(table.cell, seed, table.cap)),
}

CONTENDERS |= {
    f"{name}, chosen by belief": replace(CONTENDERS[name], new=_believing(CONTENDERS[name].new))
    for name in ("random", "Optuna TPE, multivariate", "Optuna GPSampler")
}

_table: Table
_jobs: list[Any] = []


def recorded() -> list[str]:
    """The workloads that can be simulated: the exact ones, and those with curves."""
    return [name for name in WORKLOADS if name not in SETTINGS or (FOLDER / f"{name}.npz").exists()]


def table(name: str) -> Table:
    """A workload's table; its curves must have been recorded.

    Tables are kept in the system's folder of temporary files until the curves or the code that makes them change.
    """
    path = FOLDER / f"{name}.npz"
    digest = hashlib.sha256(path.read_bytes() if name in SETTINGS else b"")
    for module in (check, curves, exact, smooth, tables):
        digest.update(Path(str(module.__file__)).read_bytes())
    kept = Path(tempfile.gettempdir()) / "phitune-quality" / f"{name}-{digest.hexdigest()[:16]}.pickle"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(pickle.dumps(_new_table(name)))
    made: Table = pickle.loads(kept.read_bytes())
    return made


def _new_table(name: str) -> Table:
    if name in _EXACT:
        setting = _EXACT[name]
        return exact_table(setting, problem(setting.cell()))
    return recorded_table(SETTINGS[name], Curves.load(FOLDER / f"{name}.npz"))


def curve(tabled: Table, contender: Contender, repeats: int, processes: int) -> Curve:
    """A contender's curve on one workload."""
    at = [mark for mark in MARKS if mark <= contender.most]
    jobs = [(contender, at, seed) for seed in range(min(repeats, contender.repeats))]
    traces = _spread(tabled, _search, jobs, processes)
    return Curve(np.array(at, dtype=np.float64), np.array([trace.regret for trace in traces]))


def _search(job: tuple[Contender, list[float], int]) -> Trace:
    contender, at, seed = job
    return simulate(contender.new(_table, seed), _table, seed, at)


def _spread(tabled: Table, function: Callable[[Any], Any], jobs: list[Any], processes: int) -> list[Any]:
    # Searches are made in the children: they inherit the contenders, which cannot be pickled.
    global _jobs
    _jobs = jobs
    with get_context("fork").Pool(processes, _start, (tabled,)) as pool:
        return pool.map(partial(_run, function), range(len(jobs)), chunksize=1)


def _run(function: Callable[[Any], Any], number: int) -> Any:
    return function(_jobs[number])


def _start(tabled: Table) -> None:
    global _table
    _table = tabled
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
