"""The report's files: what is said and drawn, put on a page and as Markdown.

Figures stand in the page as SVG images, which need no script, print, and take some hundred kilobytes each. Plotly was
weighed: its script alone is over four megabytes a report, and what hovering would show stands in results.parquet.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from joblib import Parallel, cpu_count, delayed

from phitune.analysis import results
from phitune.analysis.answers.numbers import number
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures import Rendered, Sketch, render, sketches
from phitune.analysis.report.figures.catalogue import MOST_PANELS
from phitune.analysis.report.search_quality import SearchQuality, search_quality
from phitune.analysis.report.words import cells as wording
from phitune.analysis.report.words import trends as trend_wording
from phitune.analysis.report.words.headlines import answer_lines, caution_lines, headlines
from phitune.analysis.results.table import STATUSES

# Of the figure's width in inches: on a phone it scrolls sideways rather than shrink further.
PIXELS_AN_INCH = 62
# MLflow takes so many characters, of which what was searched needs some.
MOST_OF_TAG = 8000
MOST_OF_NOTE = 5000
WHERE = "The whole report with figures: Artifacts, `report/report.html`."


def write_files(table: pd.DataFrame, guidelines: Guidelines, study: str, out: Path) -> None:
    """Write guidelines.json, results.parquet, report.html, report.md and figures/ to an empty directory."""
    (out / "figures").mkdir()
    quality = search_quality(table)
    planned = sketches(guidelines, table, quality)
    drawn = Parallel(n_jobs=min(cpu_count(), len(planned)))(delayed(render)(one.draw) for one in planned)
    figures = [
        _written(one, rendered, out / "figures")
        for one, rendered in zip(planned, drawn, strict=True)
        if rendered is not None
    ]
    values = {
        "study": study,
        "counts": guidelines.provenance,
        "cells": len(guidelines.cells),
        "sections": list(dict.fromkeys(figure["section"] for figure in figures)),
        "figures": figures,
        "warnings": caution_lines(guidelines),
        "answers": answer_lines(guidelines),
        "drawn": MOST_PANELS,
        "not_shown": max(0, len({(c.label, c.optimizer) for c in guidelines.cells}) - MOST_PANELS),
        "groups": _groups(guidelines),
        "brackets": wording.BRACKETS,
        "family_lines": wording.family_lines(guidelines),
        "model_lines": trend_wording.model_lines(guidelines),
        "validation_lines": trend_wording.validation_lines(guidelines),
        "saved": _saved(guidelines),
        "ended": _ended(quality),
        "method": wording.METHOD,
        "provenance": _provenance(guidelines.provenance),
    }
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    for name, escape in (("report.html", True), ("report.md", False)):
        environment = Environment(
            loader=loader, autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        (out / name).write_text(environment.get_template(f"{name}.j2").render(values), encoding="utf-8")
    (out / "guidelines.json").write_text(guidelines.to_json() + "\n", encoding="utf-8")
    results.write_parquet(table, out / "results.parquet")


def note(guidelines: Guidelines) -> str:
    """The description of a study's run in MLflow: the answers in short, with the tables if there is room for them."""
    lines = [f"- {line}" for line in headlines(guidelines)]
    tables = []
    for group in _groups(guidelines):
        heads = ["| " + " | ".join(group["heads"]) + " |", "|---" * len(group["heads"]) + "|"]
        rows = ["| " + " | ".join(row) + " |" for row in group["rows"]]
        tables.append("\n".join([f"**{group['title']}**", "", *heads, *rows]))
    whole = "\n".join(["## Answers", "", *lines, "", "\n\n".join(tables), "", WHERE])
    return whole if len(whole) <= MOST_OF_NOTE else cut("\n".join(["## Answers", "", *lines, "", WHERE]), MOST_OF_NOTE)


def cut(text: str, most: int) -> str:
    """The text, or as many of its first lines as fit with a word on where the rest stands."""
    if len(text) <= most:
        return text
    rest = f"\n\nThere is more. {WHERE}"
    return text[: max(text.rfind("\n", 0, most - len(rest) + 1), 0)].rstrip() + rest


def _written(sketch: Sketch, rendered: Rendered, folder: Path) -> dict[str, Any]:
    for kind, content in rendered.files.items():
        (folder / f"{sketch.name}.{kind}").write_bytes(content)
    return {
        "name": sketch.name,
        "section": sketch.section,
        "title": sketch.title,
        "caption": sketch.caption,
        "folded": sketch.folded,
        "data": base64.b64encode(rendered.files["svg"]).decode("ascii"),
        "least": round(PIXELS_AN_INCH * rendered.width),
        "most": round(1.6 * PIXELS_AN_INCH * rendered.width),
    }


def _groups(guidelines: Guidelines) -> list[dict[str, Any]]:
    rows = wording.summary_table(guidelines)
    keys = dict.fromkeys((row["workload"], row["optimizer"]) for row in rows)
    return [
        {
            "title": f"{workload}, {optimizer}",
            "heads": list(wording.HEADS),
            "rows": [
                [row[head] for head in wording.HEADS]
                for row in rows
                if (row["workload"], row["optimizer"]) == (workload, optimizer)
            ],
        }
        for workload, optimizer in keys
    ]


def _saved(guidelines: Guidelines) -> dict[str, Any]:
    """All that is known of budget saved."""
    known = [s for s in guidelines.comparisons.budget_saved if s.percent is not None]
    return {
        "heads": ["workload", "optimizer", "budget", "family", "φ", "against", "iterations it needs"],
        "rows": [
            [s.workload, s.optimizer, str(s.budget), s.family, "" if s.phi is None else number(s.phi), s.baseline,
             wording.saved_text(s)]
            for s in known
        ],
    }  # fmt: skip


def _ended(quality: Iterable[SearchQuality]) -> dict[str, Any]:
    """How trials ended and what rungs foretold, a row a cell and one a family in it."""
    return {
        "heads": ["workload", "optimizer", "budget", "family", *STATUSES, "rungs told the end"],
        "rows": [
            [q.workload, q.optimizer, str(q.budget), q.family or "all", *(str(q.ended[s]) for s in STATUSES),
             ", ".join("–" if r is None else f"{r:.2f}" for r in q.rungs)]
            for q in quality
        ],
    }  # fmt: skip


def _provenance(found: dict[str, Any]) -> dict[str, str]:
    """Names and values as a person reads them; what is empty is left out."""
    told = {}
    for key, value in found.items():
        if isinstance(value, dict):
            text = ", ".join(f"{name} {version}" for name, version in value.items())
        else:
            text = "; ".join(value) if isinstance(value, list) else str(value)
        if text:
            told[key.replace("_", " ")] = text
    return told
