"""The tables: benchmarks/results/optimum.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.optimum.families import CONTENDERS
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.exact import PowerLaw

Rows = Sequence[Mapping[str, Any]]


def text(content: Mapping[str, Any]) -> str:
    """The page for what `benchmarks.optimum` recorded."""
    rows: Rows = content["cells"]
    parts = [
        "# What a schedule family costs against the best schedule of all",
        "",
        f"- Command: `{content['command']}`",
        f"- Machine: {content['machine']}",
        f"- Versions: {content['versions']}",
        f"- Date: {content['date']}; n: {len(rows)} cells, nothing is random",
        "",
        _METHOD,
        _table(["workload", "T", "optimum", *CONTENDERS], (_costs(row) for row in rows)),
        "Median and worst over all cells, with the number of parameters beside the base LR:",
        "",
        _table(["family", "parameters", "median", "worst"], _summary(rows)),
        "## Parameters",
        "",
        _table(["workload", "T", *(name for name in CONTENDERS if CONTENDERS[name].ranges)], map(_parameters, rows)),
        "## How sure the optimum is",
        "",
        _SURE,
        _table(_SURE_HEAD, map(_sure, rows)),
        "## Theory",
        "",
        _THEORY,
        _table(_THEORY_HEAD, (_theory(row) for row in rows if "kernel" in row)),
        _RATES,
        _table(["workload", "loss", "theory", "peak LR", "theory"], _rates(rows)),
    ]
    return "\n".join(parts)


_METHOD = """\
The optimum is the best schedule of all: every LR free between 0 and 2, the range of the base LR, found by L-BFGS
through the recursion. A family has its own best base LR, at most 2 too, and its own best parameters in wide ranges.
Costs are in per cent of the optimum's loss.
"""

_SURE = """\
Spread: the largest difference of log loss between three starts. Margin: the least change of log loss by 80 random
perturbations, rough and smooth, of 0.01 to 10 %; positive: none was better. Rises: steps at which the optimum's LR
rises by more than 0.01 % of its peak. Beyond: the best that was found, in per cent of the loss, with LRs of up to 100
from six starts; there are many local optima there, so it is no optimum.
"""
_SURE_HEAD = ["workload", "T", "spread", "margin", "rises", "share at LR 2", "last LR ÷ peak", "beyond"]

_THEORY = """\
Kernel: η ∝ K(R)^(−1/2), K(R) = Σ h s e^(−2hR), with R the sum of the LRs still to come and at most 2; one number, its
scale, is fitted. Exponents: of the (1−x)^p closest to the optimum for x from 0.1 to 0.9. Theory for easy power laws is
2β − 1; hard ones hold the largest LR, and the share of the budget below it vanishes.
"""
_RATES = """\
Losses of easy power laws fall like T^(−sβ/(1+sβ)) and their best peaks like T^(−ν), ν = 1 − 1/(s + 1/β) (derived).
Found between the two largest budgets:
"""
_THEORY_HEAD = ["workload", "T", "the kernel's schedule costs", "exponent", "theory", "share below LR 2"]


def _costs(row: Mapping[str, Any]) -> list[str]:
    costs = (row["families"][name]["cost"] for name in CONTENDERS)
    return [row["workload"], str(row["budget"]), f"{row['loss']:.4g}", *map(_percent, costs)]


def _summary(rows: Rows) -> Iterable[list[str]]:
    for name, contender in CONTENDERS.items():
        costs = sorted(row["families"][name]["cost"] for row in rows)
        middle = 0.5 * (costs[(len(costs) - 1) // 2] + costs[len(costs) // 2])
        yield [name, str(len(contender.ranges)), _percent(middle), _percent(costs[-1])]


def _parameters(row: Mapping[str, Any]) -> list[str]:
    cells = []
    for name, contender in CONTENDERS.items():
        if contender.ranges:
            made = row["families"][name]["schedule"]
            cells.append(", ".join(f"{made.get(key, 0):.3g}" for key in contender.ranges))
    return [row["workload"], str(row["budget"]), *cells]


def _sure(row: Mapping[str, Any]) -> list[str]:
    beyond = f"{row['beyond']:.1f} %" if row.get("beyond", 0) < -1e-6 else "none" if "beyond" in row else ""
    numbers = [f"{row['spread']:.0e}", f"{row['margin']:.0e}", f"{row['rises']:g}", f"{row['at_cap']:.2f}"]
    return [row["workload"], str(row["budget"]), *numbers, f"{row['last'] / row['peak']:.3f}", beyond]


def _theory(row: Mapping[str, Any]) -> list[str]:
    built = workload(Spec.parse(row["workload"]))
    easy = isinstance(built, PowerLaw) and _easy(built)
    found = f"{row['exponent']:.2f}" if easy else ""
    stated = f"{2 * built.capacity - 1:g}" if isinstance(built, PowerLaw) and easy else ""
    return [
        row["workload"],
        str(row["budget"]),
        f"{row['kernel']['cost']:.4f} %",
        found,
        stated,
        f"{1 - row['at_cap']:.2f}",
    ]


def _rates(rows: Rows) -> Iterable[list[str]]:
    for label in dict.fromkeys(row["workload"] for row in rows):
        built = workload(Spec.parse(label))
        mine = sorted((row for row in rows if row["workload"] == label), key=lambda row: float(row["budget"]))
        if not isinstance(built, PowerLaw) or not _easy(built) or len(mine) < 2:
            continue
        before, after = mine[-2:]
        span = math.log(after["budget"] / before["budget"])
        found = (math.log(after[key] / before[key]) / span for key in ("loss", "peak"))
        beta, s = built.capacity, built.source
        stated = (-s * beta / (1 + s * beta), 1 / (s + 1 / beta) - 1)
        yield [label, *(f"{number:.2f}" for pair in zip(found, stated, strict=True) for number in pair)]


def _easy(built: PowerLaw) -> bool:
    return built.source >= 1 - 1 / built.capacity


def _percent(cost: float) -> str:
    return f"{cost:.3f}" if cost < 0.1 else f"{cost:.2f}" if cost < 1 else f"{cost:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
