"""The papers' comparisons of schedules, in small: every budget an independent run, every schedule at its own base LR.

    python -m benchmarks.reproduce [--quick] [--full gpt-nano/stdlib=2000] [--workers 2]

Base LR: powers of two, by validation loss on one seed, until the best one's neighbours are known. Then fresh seeds at
that LR, scored on the test split. Results are kept in a file as they come: the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from benchmarks import machine
from benchmarks.reproduce.jobs import Job, Result, Store, run, single_thread
from benchmarks.reproduce.plan import REFINED, Plan, Setting
from benchmarks.reproduce.report import write
from phitune.trainables.schedules import families
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload

# Optimizer, and full budget: the workload's own for the MLP, less for the others to stay below an hour.
WORKLOADS = {
    "mlp/digits": ("sgd", 600),
    "mlp/hastie": ("adamw", 600),
    "gpt-nano/stdlib": ("adamw", 400),
    "logreg/digits": ("sgd", 500),
}
BUDGETS = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0]
FIGURE_BUDGETS = (5.0, 25.0, 100.0)
QUICK_WORKLOADS = ["mlp/digits", "logreg/digits"]
QUICK_BUDGETS = [5.0, 100.0]
QUICK_FAMILIES = ["uba", "rex", "linear", "cosine", "step", "constant", "plateau", REFINED]
# They have no defaults; REX and linear are two values of the first.
LEFT_OUT = ("rex-phi", "spline")
PACKAGES = ("phitune", "torch", "numpy", "scipy")


def main() -> None:
    arguments = parse()
    begun = time.perf_counter()
    store = Store(arguments.cache)
    known = len(store.results)
    full = dict(entry.split("=") for entry in arguments.full)
    plan = Plan(
        settings=[setting(name, full.get(name)) for name in arguments.workloads],
        budgets=sorted(arguments.budgets),
        families=arguments.families,
        seeds=arguments.seeds,
        figure_budgets=[p for p in arguments.budgets if p in FIGURE_BUDGETS],
        results=store.results,
    )
    work(plan, store, arguments.workers)
    header = {
        **machine.header(PACKAGES),
        "processes": arguments.workers,
        "n": f"{arguments.seeds} fresh seeds a figure, base LR tuned on one other seed",
        "full_budgets": {s.workload: s.full for s in plan.settings},
        "workloads_own_full_budgets": {s.workload: workload(Spec.parse(s.workload)).full_budget for s in plan.settings},
        "trials": len(store.results),
        "trials_kept_from_before": known,
        "wall_seconds": round(time.perf_counter() - begun),
        "trial_seconds": round(sum(result["seconds"] for result in store.results.values())),
    }
    write(plan, header, arguments.out, arguments.figure)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two workloads, two budgets, eight families, two seeds")
    parser.add_argument("--workloads", nargs="+", default=None, choices=list(WORKLOADS))
    parser.add_argument("--budgets", nargs="+", type=float, default=None, help="per cents of the full budget")
    parser.add_argument("--families", nargs="+", default=None)
    parser.add_argument("--full", action="append", default=[], metavar="WORKLOAD=STEPS", help="another full budget")
    parser.add_argument("--seeds", type=int, default=None, help="fresh seeds at the tuned base LR")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=None, help="results by trial, as they come")
    parser.add_argument("--out", type=Path, default=None, help="folder of reproduce.md and reproduce.json")
    parser.add_argument("--figure", type=Path, default=None)
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.workloads = arguments.workloads or (QUICK_WORKLOADS if quick else list(WORKLOADS))
    arguments.budgets = arguments.budgets or (QUICK_BUDGETS if quick else BUDGETS)
    arguments.families = arguments.families or (QUICK_FAMILIES if quick else every_family())
    arguments.seeds = arguments.seeds or (2 if quick else 5)
    arguments.cache = arguments.cache or Path("runs", f"reproduce{'-quick' if quick else ''}.jsonl")
    arguments.out = arguments.out or (Path("runs/reproduce-quick") if quick else Path("benchmarks/results"))
    arguments.figure = (
        arguments.figure or (arguments.out if quick else Path("docs/figures")) / "budgeted-convergence.png"
    )
    return arguments


def every_family() -> list[str]:
    """All that can be had by name and with default parameters, and `REFINED`."""
    return [*(name for name in families() if name not in (*LEFT_OUT, REFINED)), REFINED]


def setting(name: str, full: str | None) -> Setting:
    optimizer, usual = WORKLOADS[name]
    return Setting(name, optimizer, int(full or usual), workload(Spec.parse(name)).base_lr[optimizer])


def work(plan: Plan, store: Store, workers: int) -> None:
    """Runs what the plan wants until it wants nothing."""
    begun = time.perf_counter()
    running: dict[Future[Result], Job] = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=single_thread) as pool:
        while True:
            # Planning takes a moment, so it is done when processes are about to run dry.
            if len(running) <= workers:
                known = set(running.values())
                running |= {pool.submit(run, job): job for job in plan.ready() if job not in known}
                print(
                    f"{time.perf_counter() - begun:6.0f} s: {len(store.results)} done, {len(running)} next", flush=True
                )
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                store.add(running.pop(future), future.result())


if __name__ == "__main__":
    main()
