"""Noisy quadratics of which φ and the floor are searched together: best values and losses against the exact ones."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.optimum.families import Contender, best
from benchmarks.optimum.recursion import log_losses
from benchmarks.validity import quadratics
from phitune.trainables.schedules import from_dict
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import Quadratic

RANGES = {"phi": quadratics.PHI, "floor": (0.0005, 0.5)}
_MEAN_LRS = (0.05, 0.2, 0.6)


@dataclass(frozen=True)
class Plan(quadratics.Plan):
    """As `quadratics.Plan`, with UBA's floor searched beside φ."""

    kappas: tuple[float, ...] = (10.0, 100.0, 1000.0)
    budgets: tuple[int, ...] = (100, 200, 400, 800)

    def study(self) -> dict[str, object]:
        """The study file."""
        space = {"phi": list(RANGES["phi"]), "uba.floor": list(RANGES["floor"])}
        return {**super().study(), "families": ["uba", "linear", "cosine"], "space": space}


def score(guidelines: Path) -> dict[str, object]:
    """Every cell against the truth.

    Returns:
        `cells`, a row each, and `summary`: of each parameter the share of intervals that cover and their median width
        (of its logarithm), and shares of losses at UBA's recommended configuration within 2 and 5 % of the optimum.
    """
    content = json.loads(guidelines.read_text(encoding="utf-8"))
    cells = [_cell(cell) for cell in content["cells"] if cell["phi"] is not None]
    ratios = np.array([float(c["loss_ratio"]) for c in cells])
    summary: dict[str, object] = {
        "cells": len(content["cells"]),
        "without a number": len(content["cells"]) - len(cells),
        "loss within 2 %": float(np.mean(ratios <= 1.02)),
        "loss within 5 %": float(np.mean(ratios <= 1.05)),
        "worst loss ratio": float(ratios.max()),
    }
    for name in RANGES:
        summary[f"{name} covered"] = float(np.mean([bool(c[f"{name} covered"]) for c in cells]))
        summary[f"median width of log {name}"] = float(np.median([float(c[f"{name} width"]) for c in cells]))
    return {"summary": summary, "cells": cells}


def _cell(cell: dict[str, object]) -> dict[str, float | str | bool]:
    values = json.loads(json.dumps(cell))
    quadratic, budget = workload(Spec.of(values["workload"])), values["budget"]
    assert isinstance(quadratic, Quadratic)
    problem, cap = quadratic.problem, quadratic.base_lr["sgd"][1]
    contender = Contender("uba", RANGES, ({"phi": 2.0, "floor": RANGES["floor"][0]},))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = [best(problem, budget, cap, contender, mean_lr) for mean_lr in _MEAN_LRS]
    known = min(found, key=lambda each: each.log_loss)
    chosen = from_dict(values["uba_schedule"])
    lrs = values["uba_base_lr"] * chosen.u(np.arange(budget), budget)
    (floor,) = (s for s in values["shapes"] if (s["family"], s["parameter"]) == ("uba", "floor"))
    row: dict[str, float | str | bool] = {
        "workload": values["label"],
        "budget": budget,
        "loss_ratio": math.exp(float(log_losses(problem, lrs[:, None])[0]) - known.log_loss),
    }
    for name, verdict, value, (low, high) in (
        ("phi", values["verdict"], values["phi"], values["phi_interval"]),
        ("floor", floor["verdict"], floor["best"], floor["interval"]),
    ):
        true = getattr(known.schedule, name)
        row |= {f"{name} verdict": verdict, f"true {name}": true, name: value, f"{name} low": low, f"{name} high": high}
        # The optimum is known to a thousandth, and the range ends where the interval does.
        row |= {f"{name} covered": low / 1.001 <= true <= high * 1.001, f"{name} width": math.log(high / low)}
    return row
