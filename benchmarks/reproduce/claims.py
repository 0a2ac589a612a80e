"""The papers' statements about schedules, each with what came out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.reproduce.plan import PARENT, REFINED
from benchmarks.reproduce.tables import LOW, PAPER_FIRST, correlation, ranks, table

_BUDGETED = "budgeted training, 1905.04753"
_AGREES = {0: "no", 1: "in part", 2: "yes"}


def claims_table(frame: pd.DataFrame, curves: list[dict[str, Any]]) -> str:
    """A row a statement: who says so, the figures here, and whether they agree.

    One schedule beats another at low or at high budgets where it does in more than two thirds of the cells there; "in
    part" means at low budgets or at high ones only.
    """
    rows = []
    known = set(frame.family)
    line_up = [name for name in PAPER_FIRST if name in known]
    if "rex" in line_up:
        ranked = ranks(frame, line_up)
        is_low = ranked.index.get_level_values("percent") <= LOW
        average = [ranked[group].mean() for group in (is_low, ~is_low)]
        place = [int((mean < mean["rex"]).sum()) + 1 for mean in average]
        here = f"average rank {average[0]['rex']:.1f} and {average[1]['rex']:.1f}: places {place[0]} and {place[1]}"
        here += f" of {len(line_up)}"
        rows.append(["REX ranks first at low and at high budgets", "REX, 2107.04197", here, _AGREES[place.count(1)]])
    for text, source, first, second in (
        ("Linear beats step", _BUDGETED, "linear", "step"),
        ("Linear beats SGDR at each budget", _BUDGETED, "linear", "sgdr"),
        ("Refinement improves on linear", "refinement, 2310.07831", REFINED, PARENT),
    ):
        if {first, second} <= known:
            wins = _wins(frame, first, second)
            here = ", ".join(f"{won} of {of} cells at {name} budgets" for name, won, of in wins)
            rows.append([text, source, here, _AGREES[sum(3 * won > 2 * of for _, won, of in wins)]])
    falls = {name: [_fall(c) for c in curves if c["family"] == name] for name in ("linear", "uba", "step", "constant")}
    if falls["linear"] and falls["constant"]:
        medians = {name: float(np.median(values)) for name, values in falls.items() if values}
        here = "median of end ÷ largest: " + ", ".join(f"{name} {value:.3f}" for name, value in medians.items())
        agrees = medians["linear"] < 0.1 and medians["linear"] < medians["constant"]
        text = "The full gradient vanishes towards the end of each budget"
        rows.append([text, _BUDGETED, here, "yes" if agrees else "no"])
        text = "and follows the LR; the weight norm has a similar trend"
        medians = {
            key: float(np.median([v for c in curves if (v := correlation(c, key)) is not None]))
            for key in ("gradient", "weight")
        }
        here = f"median Spearman's ρ with the LR: gradient {medians['gradient']:.2f}, weight {medians['weight']:.2f}"
        rows.append([text, _BUDGETED, here, _AGREES[sum(value > 0.5 for value in medians.values())]])
    return table(["statement", "source", "here", "agrees"], rows)


def _wins(frame: pd.DataFrame, first: str, second: str) -> list[tuple[str, int, int]]:
    """Low and high: in how many of how many cells the first family's mean test loss is the lower."""
    means = frame.groupby(["workload", "percent", "family"]).test_loss.mean().unstack()
    wins = (means[first] < means[second]).to_numpy()
    is_low = means.index.get_level_values("percent") <= LOW
    return [(name, int(wins[group].sum()), int(group.sum())) for name, group in (("low", is_low), ("high", ~is_low))]


def _fall(curve: dict[str, Any]) -> float:
    norms = [norm for _, norm in curve["gradient"]]
    return float(norms[-1] / max(norms))
