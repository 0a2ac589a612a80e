"""Noisy quadratics, searched by the ordinary command and analysed: φ*, losses and slopes against the exact ones."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.trainables.schedules import Uba
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import Problem, Quadratic

Floats = NDArray[np.float64]

KAPPAS = (10.0, 30.0, 100.0, 300.0, 1000.0)
NOISES = (0.03, 0.3, 1.0)
BUDGETS = (50, 100, 200, 400, 800)
FAMILIES = ("uba", "linear", "cosine", "rex")
PHI = (0.05, 50.0)
GRID = 25
ZOOMS = 4


@dataclass(frozen=True)
class Plan:
    """Which quadratics are searched, and how.

    Attributes:
        kappas, noises, budgets: Each combination is a cell.
        trials: A cell.
        seed: The study's.
    """

    kappas: tuple[float, ...] = KAPPAS
    noises: tuple[float, ...] = NOISES
    budgets: tuple[int, ...] = BUDGETS
    trials: int = 50
    seed: int = 0

    def study(self) -> dict[str, object]:
        """The study file."""
        entries = [{"name": "quadratic", "kappa": k, "noise": c} for k in self.kappas for c in self.noises]
        fixed = {"name": "validity", "families": list(FAMILIES), "space": {"phi": list(PHI)}}
        return {**fixed, "workloads": entries, "budgets": list(self.budgets), "trials": self.trials, "seed": self.seed}


@dataclass(frozen=True)
class Truth:
    """The optimum over UBA's φ and base LR."""

    phi: float
    base_lr: float
    loss: float


def search(plan: Plan, out: Path) -> Path:
    """Runs `phitune search` and `phitune analyze` on the plan; an interrupted one goes on.

    Returns:
        guidelines.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "validity.yaml").write_text(yaml.safe_dump(plan.study()), encoding="utf-8")
    for arguments in (["search", "validity.yaml"], ["analyze", "validity"]):
        subprocess.run([sys.executable, "-m", "phitune", *arguments], cwd=out, check=True)
    return out / "runs" / "validity" / "report" / "guidelines.json"


def expected_losses(problem: Problem, horizon: int, phi: Floats, base_lr: Floats) -> Floats:
    """Exact expected losses for arrays of φ and base LR, both [n], by the recursion of docs/method/quadratic.md."""
    h, s = problem.curvature[:, None], problem.noise[:, None]
    v = np.repeat(problem.start[:, None], phi.size, axis=1)
    u = np.stack([Uba(float(p)).u(np.arange(horizon), horizon) for p in phi])
    for step in range(horizon):
        lr = base_lr * u[:, step]
        v = np.minimum((1 - lr * h) ** 2 * v + lr**2 * s, 1e6)
    losses: Floats = 0.5 * (h * v).sum(axis=0)
    return losses


def truth(quadratic: Quadratic, horizon: int) -> Truth:
    """By grids that close in; φ* is known to a thousandth."""
    lows, highs = (np.log([PHI[i], quadratic.base_lr["sgd"][i]]) for i in (0, 1))
    low, high = lows.copy(), highs.copy()
    best = Truth(math.nan, math.nan, math.inf)
    for _ in range(ZOOMS):
        phi, lr = (a.ravel() for a in np.meshgrid(*(np.exp(np.linspace(low[i], high[i], GRID)) for i in (0, 1))))
        losses = expected_losses(quadratic.problem, horizon, phi, lr)
        i = int(losses.argmin())
        best = Truth(float(phi[i]), float(lr[i]), float(losses[i]))
        # Two steps of the grid on either side: the valley is slanted.
        reach = 2.5 * (high - low) / (GRID - 1)
        at = np.log([best.phi, best.base_lr])
        low, high = np.maximum(at - reach, lows), np.minimum(at + reach, highs)
    return best


def score(guidelines: Path) -> dict[str, object]:
    """Every cell and every slope against the truth.

    Returns:
        `cells` and `slopes` (of workloads for which one was fitted), a row each, and `summary`: share of intervals of
        φ* that cover, shares of losses at UBA's recommended (φ, base LR) within 2 and 5 % of the optimum, and of slopes
        within 20 % of the true curve's.
    """
    content = json.loads(guidelines.read_text(encoding="utf-8"))
    cells = [_cell(cell) for cell in content["cells"] if cell["phi"] is not None]
    models = [BudgetModel.from_dict(m) for m in content["models"]]
    slopes = [_slope(m, cells) for m in models if m.quantity == "phi" and m.workload is not None and m.slope_interval]
    ratios = np.array([float(c["loss_ratio"]) for c in cells])
    errors = [abs(float(s["slope"]) / float(s["true_slope"]) - 1.0) for s in slopes]
    summary = {
        "cells": len(content["cells"]),
        "without a number": len(content["cells"]) - len(cells),
        "phi covered": float(np.mean([bool(c["covered"]) for c in cells])),
        "median width of log phi": float(np.median([float(c["width"]) for c in cells])),
        "loss within 2 %": float(np.mean(ratios <= 1.02)),
        "loss within 5 %": float(np.mean(ratios <= 1.05)),
        "worst loss ratio": float(ratios.max()),
        "slopes": len(slopes),
        "slopes within 20 %": float(np.mean(np.array(errors) <= 0.2)) if slopes else None,
        "slope intervals cover": float(np.mean([bool(s["covered"]) for s in slopes])) if slopes else None,
    }
    return {"summary": summary, "cells": cells, "slopes": slopes}


def _cell(cell: dict[str, object]) -> dict[str, float | str | bool]:
    values = json.loads(json.dumps(cell))
    quadratic = workload(Spec.of(values["workload"]))
    assert isinstance(quadratic, Quadratic)
    known = truth(quadratic, values["budget"])
    phi, lr = np.array([values["phi"]]), np.array([values["uba_base_lr"]])
    at = expected_losses(quadratic.problem, values["budget"], phi, lr)[0]
    low, high = values["phi_interval"]
    return {
        "workload": values["label"],
        "budget": values["budget"],
        "verdict": values["verdict"],
        "true_phi": known.phi,
        "phi": values["phi"],
        "low": low,
        "high": high,
        "width": math.log(high / low),
        # φ* is known to a thousandth, and the range ends where the interval does.
        "covered": low / 1.001 <= known.phi <= high * 1.001,
        "loss_ratio": float(at / known.loss),
    }


def _slope(model: BudgetModel, cells: list[dict[str, float | str | bool]]) -> dict[str, float | str | bool]:
    # Where the true φ* is beyond the range searched, it is not on the curve whose slope is estimated.
    mine = [c for c in cells if c["workload"] == model.workload and float(c["true_phi"]) < 0.99 * PHI[1]]
    t, log_phi = (np.log([float(c[key]) for c in mine]) for key in ("budget", "true_phi"))
    true = float(np.polyfit(t, log_phi, 1)[0])
    low, high = model.slope_interval or (math.nan, math.nan)
    return {
        "workload": str(model.workload),
        "kind": model.kind,
        "slope": model.slope,
        "true_slope": true,
        "low": low,
        "high": high,
        "covered": low <= true <= high,
    }
