"""How well search and analysis find φ* where it is known: noisy quadratics, without Ray.

    python -m benchmarks.known_answer [--trials 40] [--seed 0] [--budgets 60 200 800]

The real proposer, ladder, training and analysis, one trial at a time. Prints a row a cell and a summary.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd

from analysis.guidelines import build
from analysis.results import tidy
from search.cell_proposer import CellProposer, link_neighbours
from search.record import Record, Trial
from search.stopping import Ladder, rungs
from search.study import Cell, Study, parse_study
from trainables.schedules import Uba, from_dict
from trainables.training import Training, TrialConfig
from trainables.workloads import workload
from trainables.workloads.quadratic import Quadratic

PROBLEMS = ((1000.0, 0.03), (100.0, 1.0), (10.0, 1.0))
GRID = 61


@dataclass(frozen=True)
class Truth:
    """The optimum over UBA's φ and base LR, by dense search."""

    phi: float
    base_lr: float
    loss: float


def expected_losses(problem: Quadratic, horizon: int, phi: np.ndarray, base_lr: np.ndarray) -> np.ndarray:
    """Exact expected losses for arrays of φ and base LR, both [n]; the recursion of REFERENCES, vectorised."""
    h = problem.curvature[:, None]
    v = np.full((h.size, phi.size), 1.0 / h.size)
    u = np.stack([Uba(p).u(np.arange(horizon), horizon) for p in phi])
    for step in range(horizon):
        lr = base_lr * u[:, step]
        v = np.minimum((1 - lr * h) ** 2 * v + lr**2 * problem.noise_variance[:, None], 1e6)
    losses: np.ndarray = 0.5 * (h * v).sum(axis=0)
    return losses


def truth(problem: Quadratic, cell: Cell, study: Study) -> Truth:
    phis, lrs = np.geomspace(*study.space.phi, GRID), np.geomspace(*cell.base_lr, GRID)
    phi, lr = (a.ravel() for a in np.meshgrid(phis, lrs))
    losses = expected_losses(problem, cell.budget, phi, lr)
    best = int(losses.argmin())
    return Truth(float(phi[best]), float(lr[best]), float(losses[best]))


def explore(study: Study, proposer: CellProposer) -> pd.DataFrame:
    """All trials of a cell, as the results table has them."""
    cell = proposer.cell
    ladder = Ladder(len(rungs(cell, study)), cell.mode, study.ladder)
    rows = []
    while (trial := proposer.propose()) is not None:
        record = run(trial, study, cell, ladder)
        proposer.end(record)
        rows.append(row(record, cell))
    return tidy(pd.DataFrame(rows))


def run(trial: Trial, study: Study, cell: Cell, ladder: Ladder) -> Record:
    config = TrialConfig(cell.optimizer.label, cell.budget, from_dict(trial.schedule), trial.base_lr, trial.seed)
    training = Training(workload(cell.workload), config, points=1)
    judged: list[tuple[int, float]] = []
    for rung, step in enumerate(rungs(cell, study) if trial.phase == "explore" else (), start=1):
        training.advance(step)
        if training.diverged:
            break
        judged.append((step, training.curve[-1]["ema_val_loss"]))
        if not ladder.judge(trial.trial_id, trial.family, rung, judged[-1][1]):
            return Record(trial, "stopped", training.step, judged, [], {"objective": judged[-1][1]}, 0.0, 0.0)
    training.advance(cell.budget)
    if training.diverged:
        ladder.note_diverged(trial.trial_id, trial.family)
        return Record(trial, "diverged", training.step, judged, [], {}, 0.0, 0.0)
    final = {"objective": training.curve[-1]["val_loss"]}
    return Record(trial, "completed", training.step, judged, [], final, 0.0, 0.0)


def row(record: Record, cell: Cell) -> dict[str, object]:
    trial = record.trial
    objective = record.final.get("objective", math.nan) if record.status == "completed" else math.nan
    values: dict[str, object] = {
        "study": "known-answer",
        "run_id": trial.trial_id,
        "workload": cell.workload.label,
        "optimizer": cell.optimizer.label,
        "budget": cell.budget,
        "full_budget": cell.full_budget,
        "status": record.status,
        "family": trial.schedule["family"],
        "phi": trial.schedule.get("phi", math.nan),
        "schedule": json.dumps(trial.schedule),
        "deterministic": cell.deterministic,
        "objective_name": cell.objective,
        "mode": cell.mode,
        "metric_name": cell.metric_name,
        "metric_mode": cell.metric_mode,
        "objective": objective,
        "val_metric": objective,
        "steps": record.steps,
    }
    values |= {
        key: getattr(trial, key) for key in ("trial_id", "cell", "phase", "base_lr", "mean_lr", "seed", "finalist")
    }
    return values | {f"rung_{number}": value for number, (_, value) in enumerate(record.rungs, start=1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budgets", type=int, nargs="+", default=[60, 200, 800])
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    entries = [{"name": "quadratic", "kappa": kappa, "noise": noise} for kappa, noise in PROBLEMS]
    study = parse_study(
        {
            "name": "known-answer",
            "workloads": entries,
            "budgets": arguments.budgets,
            "trials": arguments.trials,
            "seed": arguments.seed,
        }
    )
    widths, covers, ratios = [], [], []
    proposers = [CellProposer(study, cell, optuna.storages.InMemoryStorage(), []) for cell in study.cells()]
    link_neighbours(proposers)
    for proposer in proposers:
        cell = proposer.cell
        problem = workload(cell.workload)
        assert isinstance(problem, Quadratic)
        known = truth(problem, cell, study)
        found = build(explore(study, proposer), None, study.space.phi).cells[0]
        if found.phi is None or found.phi_interval is None or found.uba_base_lr is None:
            print(f"{cell.key}: φ* {known.phi:.3g}; too little to fit")
            continue
        at = expected_losses(problem, cell.budget, np.array([found.phi]), np.array([found.uba_base_lr]))[0]
        low, high = found.phi_interval
        step = (study.space.phi[1] / study.space.phi[0]) ** (0.5 / (GRID - 1))
        widths.append(math.log(high / low))
        covers.append(low / step <= known.phi <= high * step)
        ratios.append(at / known.loss)
        print(
            f"{cell.key}: φ* {known.phi:.3g} at LR {known.base_lr:.2g}; found {found.phi:.3g} [{low:.3g}, {high:.3g}] "
            f"at LR {found.uba_base_lr:.2g}, loss × {ratios[-1]:.3f}, {found.verdict}"
        )
    print(
        f"{len(ratios)} cells: interval covers {sum(covers)}, median width of log φ* {np.median(widths):.2f}, "
        f"loss ÷ optimum median {np.median(ratios):.3f}, worst {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
