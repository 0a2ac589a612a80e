"""From results to ranks and Markdown tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr, studentized_range

from benchmarks.reproduce.jobs import rebuilt
from benchmarks.reproduce.plan import PARENT, REFINED, Plan
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload

LOW = 10.0

# REX, arXiv 2107.04197: share of settings in which a schedule is ranked first, low and high budgets, per cent.
PAPER_FIRST = {
    "rex": (73, 67),
    "linear": (10, 12),
    "cosine": (2, 10),
    "onecycle": (15, 12),
    "step": (2, 7),
    "exponential": (5, 5),
    "constant": (0, 2),
    "plateau": None,
}


def scores(plan: Plan) -> pd.DataFrame:
    """One row a trial on a fresh seed: ``workload percent horizon family base_lr seed test_loss test_metric``.

    ``uba`` is listed once for each φ and once more with the φ of the lowest validation loss.
    """
    rows = []
    names = plan.rows() + (["uba"] if "uba" in plan.families else [])
    for setting in plan.settings:
        for cell in plan.cells(setting):
            for name in names:
                tuned, results = plan.tuned(cell, name), plan.scores(cell, name)
                if tuned is None or results is None:
                    continue
                row = {
                    "workload": setting.workload,
                    "percent": cell.percent,
                    "horizon": cell.horizon,
                    "family": name,
                    "schedule": tuned.shape,
                    "base_lr": tuned.base_lr,
                }
                for seed, result in enumerate(results, start=1):
                    rows.append({**row, "seed": seed, **{key: result[key] for key in ("test_loss", "test_metric")}})
    return pd.DataFrame(rows)


def ranks(frame: pd.DataFrame, families: Sequence[str], value: str = "test_loss") -> pd.DataFrame:
    """Rank of each family's mean in each cell, 1 the best, ties shared: a row a cell, a column a family."""
    means = frame[frame.family.isin(families)].groupby(["workload", "percent", "family"])[value].mean().unstack()
    if value == "test_metric":
        signs = [-1 if workload(Spec.parse(name)).metric_mode == "max" else 1 for name, _ in means.index]
        means = means.mul(signs, axis=0)
    ranked = np.apply_along_axis(rankdata, 1, means[list(families)].to_numpy())
    return pd.DataFrame(ranked, means.index, list(families))


def critical_difference(families: int, cells: int) -> float:
    """Nemenyi's: average ranks that differ by less are not told apart at the 5 % level (Demšar 2006)."""
    q = studentized_range.ppf(0.95, families, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(families * (families + 1) / (6 * cells)))


def rank_table(ranked: pd.DataFrame, paper: bool = False) -> str:
    """REX's rank table: share ranked first and average rank at low and at high budgets."""
    percent = ranked.index.get_level_values("percent")
    groups = {"low": ranked[percent <= LOW], "high": ranked[percent > LOW]}
    first = {key: _first(group) for key, group in groups.items()}
    header = ["family", "first, low", "first, high", "rank, low", "rank, high", "rank, all"]
    rows = []
    for name in ranked.mean().sort_values().index:
        row = [name, *(f"{100 * first[key][name]:.0f} %" for key in groups)]
        row += [f"{group[name].mean():.1f}" for group in (*groups.values(), ranked)]
        if paper:
            published = PAPER_FIRST.get(name)
            row += [f"{published[0]} / {published[1]} %" if published else "–"]
        rows.append(row)
    sizes = " + ".join(str(len(group)) for group in groups.values())
    note = (
        f"{sizes} cells. Average ranks over all cells that differ by less than "
        f"{critical_difference(ranked.shape[1], len(ranked)):.1f} are not told apart (Nemenyi, 5 %, as"
        " if the cells were independent)."
    )
    return table(header + (["first in the paper, low / high"] if paper else []), rows) + "\n" + note + "\n"


def _first(ranked: pd.DataFrame) -> pd.Series:
    """Share of the cells in which each family is first."""
    best = ranked.eq(ranked.min(axis=1), axis=0)
    return best.div(best.sum(axis=1), axis=0).mean()


def cell_table(frame: pd.DataFrame, value: str) -> str:
    """Mean ± standard deviation over fresh seeds of one workload, a row a family, a column a budget; the best bold."""
    mode = "min" if value == "test_loss" else workload(Spec.parse(frame.workload.iloc[0])).metric_mode
    grouped = frame.groupby(["family", "percent"])[value]
    means, deviations = grouped.mean().to_dict(), grouped.std().to_dict()
    horizons = {float(percent): int(horizon) for percent, horizon in zip(frame.percent, frame.horizon, strict=True)}
    sign = 1 if mode == "min" else -1
    order: dict[str, float] = dict.fromkeys(frame.family, 0.0)
    best = {}
    for percent in horizons:
        signed = [sign * means[name, percent] for name in order]
        best[percent] = sign * min(signed)
        for name, rank in zip(order, rankdata(signed), strict=True):
            order[name] += rank

    def text(name: str, percent: float) -> str:
        mean = means[name, percent]
        if not math.isfinite(mean):
            return "diverged"
        figure = f"{mean:.4f} ± {deviations[name, percent]:.4f}"
        return f"**{figure}**" if mean == best[percent] else figure

    rows = [[name, *(text(name, percent) for percent in horizons)] for name in sorted(order, key=order.__getitem__)]
    return table(["family", *(f"{percent:g} % ({steps})" for percent, steps in horizons.items())], rows)


def refined_table(plan: Plan) -> str:
    """A refined schedule against the very trial it was made from, and against its parent's family on fresh seeds."""
    header = ["workload", "budget", "peak at", "mean u", "parent, test loss", "child, same LR and seed"]
    header += [f"{PARENT}, fresh seeds", "refined, tuned, fresh seeds", "difference ± se"]
    rows = []
    for setting in plan.settings:
        for cell in plan.cells(setting):
            parent, child, tuned = plan.parent(cell), plan.child(cell), plan.tuned(cell, REFINED)
            linear, refined = plan.scores(cell, PARENT), plan.scores(cell, REFINED)
            if not (parent and child and tuned and linear and refined):
                continue
            u = rebuilt(tuned.shape).u(np.arange(cell.horizon), cell.horizon)
            first, second = (np.array([r["test_loss"] for r in results]) for results in (linear, refined))
            change = second - first
            rows.append(
                [
                    setting.workload,
                    f"{cell.percent:g} %",
                    f"{np.argmax(u) / cell.horizon:.2f}",
                    f"{u.mean():.2f}",
                    f"{parent[1]['test_loss']:.4f}",
                    f"{child['test_loss']:.4f}",
                    f"{first.mean():.4f} ± {first.std(ddof=1):.4f}",
                    f"{second.mean():.4f} ± {second.std(ddof=1):.4f}",
                    f"{change.mean():+.4f} ± {change.std(ddof=1) / math.sqrt(len(change)):.4f}",
                ]
            )
    return table(header, rows)


def convergence(plan: Plan) -> list[dict[str, Any]]:
    """Full gradient's norm and weight norm against progress, a dictionary a curve of the figure."""
    curves = []
    for setting in plan.settings:
        for name, cell, job in plan.curves(setting):
            result = plan.results.get(job)
            if result is None:
                continue
            gradient = [(p["step"], p["full_grad_norm"]) for p in result["diagnosed"] if "full_grad_norm" in p]
            curves.append(
                {
                    "workload": setting.workload,
                    "family": name,
                    "schedule": job.schedule,
                    "percent": cell.percent,
                    "horizon": cell.horizon,
                    "base_lr": job.base_lr,
                    "gradient": gradient,
                    "weight": [(p["step"], p["weight_norm"]) for p in result["curve"]],
                    "lr": [(p["step"], p["lr"]) for p in result["curve"]],
                }
            )
    return curves


def convergence_table(curves: Iterable[dict[str, Any]]) -> str:
    """How far the full gradient's norm falls, and whether the norms go with the LR."""
    rows = []
    for curve in curves:
        norms = dict(curve["gradient"])
        correlations = [correlation(curve, key) for key in ("gradient", "weight")]
        rows.append(
            [
                curve["workload"],
                curve["family"],
                f"{curve['percent']:g} %",
                f"{max(norms.values()):.3g}",
                f"{norms[max(norms)]:.3g}",
                f"{norms[max(norms)] / max(norms.values()):.3f}",
                *("–" if value is None else f"{value:.2f}" for value in correlations),
            ]
        )
    header = ["workload", "family", "budget", "largest", "at the end", "end ÷ largest", "ρ(LR, gradient)"]
    return table([*header, "ρ(LR, weight norm)"], rows)


def duels(frame: pd.DataFrame, pairs: Iterable[tuple[str, str]], low: Callable[[float], bool]) -> str:
    """How often one family's mean test loss is below another's, at low and at high budgets."""
    means = frame.groupby(["workload", "percent", "family"]).test_loss.mean().unstack()
    is_low = np.array([low(percent) for _, percent in means.index])
    rows = []
    for first, second in pairs:
        if first in means and second in means:
            wins = (means[first] < means[second]).to_numpy()
            ties = (means[first] == means[second]).to_numpy()
            counts = [
                f"{wins[group].sum()} of {group.sum()}" + (f", {ties[group].sum()} equal" if ties[group].any() else "")
                for group in (is_low, ~is_low)
            ]
            logs = np.log((means[first] / means[second]).to_numpy())
            ratio = math.exp(logs[np.isfinite(logs)].mean())
            rows.append([f"{first} below {second}", *counts, f"{ratio:.3f}"])
    return table(["test loss", "low budgets", "high budgets", "ratio, geometric mean"], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_json(plan: Plan, frame: pd.DataFrame, curves: list[dict[str, Any]], header: dict[str, Any]) -> str:
    """Everything in the report, to be read by machines."""
    clean = frame.replace([np.inf, -np.inf], np.nan).astype(object).where(lambda f: f.notna(), None)
    return json.dumps({**header, "trials": clean.to_dict("records"), "convergence": curves}, indent=1) + "\n"


def correlation(curve: dict[str, Any], key: str) -> float | None:
    """Spearman's, of a norm (``gradient`` or ``weight``) with the LR over a curve; None when the LR is constant."""
    lrs, norms = dict(curve["lr"]), dict(curve[key])
    steps = sorted(lrs.keys() & norms.keys())
    values = [lrs[step] for step in steps]
    return float(spearmanr(values, [norms[step] for step in steps]).statistic) if len(set(values)) > 1 else None
