"""The report's files: a page and Markdown, with the data behind them.

The page is one file that needs nothing else: cards, tables, and charts that Vega draws in the browser.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from phitune.analysis import results
from phitune.analysis.families.compare import BASELINES
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.cards import cards
from phitune.analysis.report.charts import MOST_PANELS, Chart, charts, packed, picture
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.search_quality import search_quality
from phitune.analysis.report.words.cells import legend
from phitune.analysis.report.words.families import family_lines
from phitune.analysis.report.words.headlines import answer_lines, evidence_lines, unchecked_lines
from phitune.analysis.report.words.method import METHOD
from phitune.analysis.report.words.tables import (
    answer_tables,
    ended_table,
    more_trials_table,
    provenance_texts,
    saved_table,
)
from phitune.analysis.report.words.trends import model_lines, validation_lines, warning_lines
from phitune.trainables.errors import InputError


def write_report(table: pd.DataFrame, guidelines: Guidelines, study: str, out: Path) -> list[Path]:
    """Write guidelines.json, results.parquet, report.html, report.md and figures/.

    The files appear only when all of them are complete; files of other names in the directory are left alone.

    Args:
        table: The results table.
        guidelines: The conclusions.
        study: The study's name.
        out: The directory to write to; created if necessary.

    Returns:
        Paths of the files below `out`.

    Raises:
        InputError: The directory cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".report-", dir=out.parent))
    except OSError as error:
        raise InputError(f"--out: cannot write to {str(out)!r} ({error.strerror})") from None
    try:
        _write_files(table, guidelines, study, draft)
        (out / "figures").mkdir(exist_ok=True)
        paths = sorted(p.relative_to(draft) for p in draft.rglob("*") if p.is_file())
        for path in paths:
            os.replace(draft / path, out / path)
        return paths
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            # Only an empty one goes.
            out.rmdir()


def _write_files(table: pd.DataFrame, guidelines: Guidelines, study: str, folder: Path) -> None:
    drawn = charts(guidelines, table)
    (folder / "figures").mkdir()
    for chart in drawn:
        if chart.pictured:
            (folder / "figures" / f"{chart.name}.png").write_bytes(picture(chart))
    values = _values(table, guidelines, study, drawn)
    page = {"packed_charts": packed(drawn)}
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    for name, escape, more in (("report.html", True, page), ("report.md", False, {})):
        environment = Environment(
            loader=loader, autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        text = environment.get_template(f"{name}.j2").render(values, **more)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "guidelines.json").write_text(guidelines_json(guidelines) + "\n", encoding="utf-8")
    results.write_parquet(table, folder / "results.parquet")


def _values(table: pd.DataFrame, guidelines: Guidelines, study: str, drawn: list[Chart]) -> dict[str, Any]:
    """The variables of both templates."""
    return {
        "study": study,
        "counts": guidelines.provenance,
        "cells": len(guidelines.cells),
        "cards": cards(guidelines),
        "answers": answer_lines(guidelines),
        "tables": answer_tables(guidelines),
        "legend": legend(guidelines),
        "evidence_lines": evidence_lines(guidelines),
        "baselines": BASELINES,
        "charts": drawn,
        "most_panels": MOST_PANELS,
        "omitted": max(0, len({(c.label, c.optimizer) for c in guidelines.cells}) - MOST_PANELS),
        "warnings": [*warning_lines(guidelines), *unchecked_lines(guidelines)],
        "family_lines": family_lines(guidelines),
        "model_lines": model_lines(guidelines),
        "validation_lines": validation_lines(guidelines),
        "saved": saved_table(guidelines),
        "more_trials": more_trials_table(guidelines),
        "ended": ended_table(search_quality(table)),
        "method": METHOD,
        "provenance": provenance_texts(guidelines.provenance),
    }
