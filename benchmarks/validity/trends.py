"""Coverage of the trends' intervals: slope, a known workload's next budget, a new workload, from simulated studies."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.validity.surfaces import PHI_RANGE, Floats
from phitune.analysis.trends import CellDraws, fit_trend, trend_data

BUDGETS = (50, 100, 200, 400, 800)
REFERENCE = 200.0
BEYOND = 1600
DRAWS = 400
RANGE = (math.log(PHI_RANGE[0]), math.log(PHI_RANGE[1]))


def study(rng: np.random.Generator, workloads: int) -> tuple[list[CellDraws], Floats, dict[str, float]]:
    """A study whose cells say what they know honestly: skewed, of different widths, cut at the range's ends.

    Returns:
        The cells; each workload's intercept at 200 iterations and slope, shape (workloads, 2); the truths of a new
        workload: its log φ* at 200, and a cell of workload 0 at 1600.
    """
    slope, between, own, within = 0.6 + 0.2 * rng.standard_normal(), rng.uniform(0.2, 1.0), 0.08, rng.uniform(0.0, 0.25)
    lines = np.array([math.log(2.0), slope]) + rng.standard_normal((workloads + 1, 2)) * np.array([between, own])
    cells = []
    for i, (a, b) in enumerate(lines[:-1]):
        for budget in BUDGETS:
            true = a + b * math.log(budget / REFERENCE) + within * rng.standard_normal()
            width = float(np.exp(rng.uniform(np.log(0.1), np.log(1.0))))
            draws = true + width * (_skewed(rng, 1)[0] + _skewed(rng, DRAWS))
            cells.append(CellDraws(f"w{i}", "sgd", budget, True, RANGE, np.clip(draws, *RANGE), draws))
    far = lines[0, 0] + lines[0, 1] * math.log(BEYOND / REFERENCE) + within * rng.standard_normal()
    return cells, lines, {"new": float(lines[-1, 0] + within * rng.standard_normal()), "beyond": float(far)}


def _skewed(rng: np.random.Generator, n: int) -> Floats:
    """Symmetric about zero as a likelihood must be for the draws to be honest, with tails heavier than normal."""
    return np.asarray(rng.standard_t(5.0, n) / math.sqrt(5.0 / 3.0), dtype=np.float64)


def coverage(studies: int, workloads: int = 4, seed: int = 0) -> dict[str, float]:
    """Share of 90 % intervals that hold the truth, over studies in which a slope was claimed."""
    hits: dict[str, list[bool]] = {"slope": [], "beyond": [], "new workload": []}
    for number in range(studies):
        rng = np.random.default_rng([seed, number])
        cells, lines, known = study(rng, workloads)
        trend = fit_trend(trend_data(cells, "phi"))
        own, new = trend.model("sgd", "w0"), trend.model("sgd", None)
        if own.kind != "log-linear" or own.slope_interval is None:
            continue
        hits["slope"].append(own.slope_interval[0] <= lines[0, 1] <= own.slope_interval[1])
        for name, model, budget, true in (
            ("beyond", own, BEYOND, known["beyond"]),
            ("new workload", new, int(REFERENCE), known["new"]),
        ):
            low, high = model.interval(budget)
            hits[name].append(low <= math.exp(true) <= high)
    return {f"{name} covered": float(np.mean(covered)) for name, covered in hits.items()} | {
        "claimed": float(len(hits["slope"]))
    }
