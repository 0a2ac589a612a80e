"""Tables of the report: heads and rows, all as text."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from phitune.analysis.answers.numbers import number, with_interval
from phitune.analysis.answers.recommendation import beside
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.search_quality import SearchQuality
from phitune.analysis.report.words.cells import heads, summary_table
from phitune.analysis.report.words.gains import gain_text, more_trials_text, saved_text
from phitune.analysis.results.table import STATUSES


class Table(NamedTuple):
    """A table of text."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def answer_tables(guidelines: Guidelines) -> list[Table]:
    """The summary table, one part a workload and optimizer."""
    names = heads(guidelines)
    groups = groupby(summary_table(guidelines), itemgetter("workload", "optimizer"))
    return [
        Table(f"{workload}, {optimizer}", list(names), [[row[name] for name in names] for row in rows])
        for (workload, optimizer), rows in groups
    ]


def families_table(cell: CellGuideline) -> Table:
    """The families of a cell, best first, each at its own best LR."""
    rows = [
        [
            f"{each.family}{beside((), json.loads(each.schedule))}",
            with_interval(each.base_lr, each.base_lr_interval),
            with_interval(each.objective, each.objective_interval),
            gain_text(each.gains.get("cosine")),
            str(each.replicates),
        ]
        for each in cell.families
    ]
    heads = ["family", "base LR", f"expected {cell.objective}", "over cosine", "replicates"]
    return Table(f"Families, best first, with 90 % intervals after {cell.trials} trials", heads, rows)


def saved_table(guidelines: Guidelines) -> Table:
    """Budget saved: a row a cell, family and baseline for which it is known."""
    return Table(
        "Budget saved: all families, against cosine and linear",
        ["workload", "optimizer", "budget", "family", "φ", "against", "iterations it needs"],
        [
            [s.workload, s.optimizer, str(s.budget), s.family, "" if s.phi is None else number(s.phi), s.baseline,
             saved_text(s)]
            for s in guidelines.comparisons.budget_saved
            if s.percent is not None
        ],
    )  # fmt: skip


def more_trials_table(guidelines: Guidelines) -> Table:
    """By how much more trials could still improve on each cell's answer, and which family would have it."""
    return Table(
        "What more trials could still bring",
        ["workload", "optimizer", "budget", "better by at most (90 %)", "best family, in % of the draws"],
        [
            [c.label, c.optimizer, str(c.budget), more_trials_text(c.possible_regret),
             ", ".join(f"{name} {100.0 * share:.0f}" for name, share in c.possible_regret.shares.items() if share)]
            for c in guidelines.cells
            if c.possible_regret is not None
        ],
    )  # fmt: skip


def ended_table(quality: Iterable[SearchQuality]) -> Table:
    """How trials ended and how well rungs predicted the end: a row a cell, and one for each family in it."""
    return Table(
        "How trials ended, cell by cell and family by family",
        ["workload", "optimizer", "budget", "family", *STATUSES, "rank correlation of rungs with the end"],
        [
            [q.workload, q.optimizer, str(q.budget), q.family or "all", *(str(q.ended[s]) for s in STATUSES),
             ", ".join("–" if r is None else f"{r:.2f}" for r in q.rungs)]
            for q in quality
        ],
    )  # fmt: skip


def provenance_texts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Names and values of the provenance as a person reads them; empty values are left out."""
    texts = {key.replace("_", " "): _text(value) for key, value in provenance.items()}
    return {name: text for name, text in texts.items() if text}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return "; ".join(value) if isinstance(value, list) else str(value)
