"""What carries over of the best LR from one workload to another: by itself nothing, beside a short range test much.

python -m benchmarks.quality lrs     # writes results/lrs.json and lrs.md
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.quality.curves import SETTINGS, schedule_of
from benchmarks.quality.exact import problem
from benchmarks.quality.plan import table
from benchmarks.quality.table import Table
from phitune.search.study.range_test import ITERATIONS
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.base import Diagnosis
from phitune.trainables.workloads.exact import Problem

# Cells of workloads trained by SGD.
NAMES = (
    "quadratic-10-200",
    "quadratic-100-200",
    "quadratic-100-800",
    "quadratic-1000-200",
    "quadratic-1000-800",
    "regression-400",
    "logreg-150",
    "mlp-150",
    "mlp-600",
    "cnn-150",
)
# Constant LRs of a range test.
LRS = tuple(2.0 ** (number / 2) for number in range(-24, 5))
# Of the least loss: the smallest LR within it counts, as Adam has a plateau.
ALIKE = 1.02
_EXAMPLES = 512


def workload_of(name: str) -> str:
    """What a workload's cells have in common: all of the name but the budget."""
    return name.rpartition("-")[0]


@cache
def range_test(name: str) -> float:
    """The constant LR that has lowered the training loss most after `ITERATIONS` iterations."""
    return lowest(range_losses(name))


def lowest(losses: dict[float, float]) -> float:
    """The smallest LR whose loss is as good as the least."""
    return min(lr for lr, loss in losses.items() if loss <= ALIKE * min(losses.values()))


@cache
def range_losses(name: str) -> dict[float, float]:
    """Training loss after `ITERATIONS` iterations at each of `LRS`, over that before the first."""
    exact = _problem(name)
    return of_trained(Spec.of(SETTINGS[name].workload), SETTINGS[name].optimizer) if exact is None else _of_exact(exact)


def _problem(name: str) -> Problem | None:
    """What a workload's losses are computed from; None where it is trained."""
    if name in SETTINGS:
        return None
    return problem(table(name).cell)


def of_trained(spec: Spec, optimizer: str) -> dict[float, float]:
    """`range_losses` of a workload that is trained."""
    built, losses = workload(spec), {}
    for lr in LRS:
        learner = built.learner(Spec(optimizer), 0, ITERATIONS)
        seen = [float(learner.step(lr)) for _ in range(ITERATIONS)]
        losses[lr] = float(np.mean(seen[-5:])) / seen[0] if math.isfinite(seen[-1]) else math.inf
    return losses


def _of_exact(problem: Problem) -> dict[float, float]:
    losses, h = {}, problem.curvature
    for lr in LRS:
        v = problem.start
        for _ in range(ITERATIONS):
            v = (1.0 - lr * h) ** 2 * v + lr**2 * problem.noise_at(v)
        losses[lr] = 0.5 * float(h @ v) / problem.first_loss
    return losses


@cache
def references(name: str) -> dict[str, float]:
    """LRs of a workload to which its best may stand in a fixed ratio; `nothing` is 1 for each."""
    losses, problem = range_losses(name), _problem(name)
    if problem is None:
        setting = SETTINGS[name]
        learner = workload(Spec.of(setting.workload)).learner(Spec(setting.optimizer), 0, ITERATIONS)
        measured = learner.diagnose(Diagnosis(True, True, _EXAMPLES))
        curvature, gradient = measured["hessian_max"], measured["full_grad_norm"]
    else:
        h = problem.curvature
        curvature, gradient = float(h.max()), float(np.sqrt(np.square(h) @ problem.start))
    return {
        "nothing": 1.0,
        f"lowest loss after {ITERATIONS} iterations": range_test(name),
        f"largest LR whose loss falls in {ITERATIONS}": max(lr for lr, loss in losses.items() if loss <= 1.0),
        "1 / largest eigenvalue": 1.0 / curvature,
        "1 / first gradient's norm": 1.0 / gradient,
    }


def best_lrs(made: Table) -> dict[str, float]:
    """Logs of a cell's best base LR and mean LR over all families, and of cosine's best base LR."""
    places = {label: _best(made, label) for label in made.families}
    label, (_, phi, log_lr) = min(places.items(), key=lambda item: item[1][0])
    mean = schedule_of(made.cell, label, phi).mean(made.cell.budget)
    return {"base LR": log_lr, "mean LR": log_lr + math.log(mean), "cosine's LR": places["cosine"][2]}


def _best(made: Table, label: str) -> tuple[float, float, float]:
    """Least log loss of a family, its φ and log base LR."""
    family = made.families[label]
    losses = family.expected[:, :, -1, 0]
    row, column = np.unravel_index(losses.argmin(), losses.shape)
    return float(losses[row, column]), math.exp(family.log_phi[row]), float(family.log_lr[column])


def left_out(reference: str, quantity: str, same: bool) -> tuple[float, list[float]]:
    """Root mean square error of log LR, each workload predicted from the others; cosine's regret at that LR, in %.

    Args:
        reference: One of `references`.
        quantity: One of `best_lrs`.
        same: Whether workloads of one name, such as quadratics, are left out together.
    """

    def group(name: str) -> str:
        return name.partition("-")[0] if same else workload_of(name)

    known = {name: best_lrs(table(name)) for name in NAMES}
    errors, regrets = [], []
    for name in NAMES:
        others: dict[str, list[float]] = {}
        for other in NAMES:
            if group(other) != group(name):
                ratio = known[other][quantity] - math.log(references(other)[reference])
                others.setdefault(group(other), []).append(ratio)
        at = math.log(references(name)[reference]) + float(np.mean([np.mean(each) for each in others.values()]))
        errors.append(at - known[name][quantity])
        made = table(name)
        lr = float(np.clip(math.exp(at), *made.cell.base_lr))
        least = _best(made, "cosine")[0]
        regrets.append(100.0 * math.expm1(float(made.families["cosine"].at(math.nan, lr)[-1, 0]) - least))
    return float(np.sqrt(np.mean(np.square(errors)))), regrets


def run(out: Path) -> None:
    """Writes `lrs.json` and `lrs.md`."""
    header = {**machine.header(("phitune", "torch", "numpy")), "n": f"{len(NAMES)} cells, SGD"}
    header["command"] = "python -m benchmarks.quality lrs"
    quantities = list(best_lrs(table(NAMES[0])))
    lines = ["# What carries over of the best LR", "", *(f"- {key}: {each}" for key, each in header.items()), ""]
    lines += ["Root mean square error of log LR, predicted from the others' ratio to a reference; cosine's regret"]
    lines += ["at the LR so predicted, over cosine at its best: median (mean) in %.", ""]
    head = ["left out", "reference", *quantities, "cosine's regret"]
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    rows = []
    for same in (False, True):
        for reference in references(NAMES[0]):
            errors = {quantity: left_out(reference, quantity, same)[0] for quantity in quantities}
            regrets = left_out(reference, "cosine's LR", same)[1]
            out_of = "all of its name" if same else "the workload"
            rows.append({"left_out": out_of, "reference": reference, "errors": errors, "cosine_regrets": regrets})
            cells = [f"{error:.2f}" for error in errors.values()]
            cells.append(f"{np.median(regrets):.1f} ({np.mean(regrets):.3g})")
            lines.append(f"| {out_of} | {reference} | {' | '.join(cells)} |")
    content = {"header": header, "references": {name: references(name) for name in NAMES}, "rows": rows}
    content["best"] = {name: {key: math.exp(each) for key, each in best_lrs(table(name)).items()} for name in NAMES}
    (out / "lrs.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (out / "lrs.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
