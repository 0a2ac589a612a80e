"""The report's files: words and figures as a page and as Markdown, with the data behind them.

The page holds its figures as SVG images: they need no script, print well, and take some hundred kilobytes each. A
Plotly page would carry over four megabytes of script, and what hovering would show is in results.parquet.
"""

import base64
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from joblib import Parallel, cpu_count, delayed

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures import Rendered, Sketch, render, sketches
from phitune.analysis.report.figures.catalogue import MOST_PANELS, shape_section
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.search_quality import SearchQuality, search_quality
from phitune.analysis.report.words.cells import legend
from phitune.analysis.report.words.families import family_lines
from phitune.analysis.report.words.headlines import answer_lines, caution_lines
from phitune.analysis.report.words.method import METHOD
from phitune.analysis.report.words.parameters import symbols
from phitune.analysis.report.words.tables import answer_tables, ended_table, provenance_texts, saved_table
from phitune.analysis.report.words.trends import model_lines, validation_lines
from phitune.trainables.errors import InputError

# Of a figure's width in inches: on a phone it scrolls sideways rather than shrink further.
PIXELS_AN_INCH = 62


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
    (folder / "figures").mkdir()
    quality = search_quality(table)
    planned = sketches(guidelines, table, quality)
    renderings = Parallel(n_jobs=min(cpu_count(), len(planned)))(delayed(render)(sketch.draw) for sketch in planned)
    figures = [
        _figure(sketch, rendered, folder / "figures")
        for sketch, rendered in zip(planned, renderings, strict=True)
        if rendered is not None
    ]
    values = _page_values(guidelines, study, quality, figures)
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    for name, escape in (("report.html", True), ("report.md", False)):
        environment = Environment(
            loader=loader, autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        (folder / name).write_text(environment.get_template(f"{name}.j2").render(values), encoding="utf-8")
    (folder / "guidelines.json").write_text(guidelines_json(guidelines) + "\n", encoding="utf-8")
    results.write_parquet(table, folder / "results.parquet")


def _page_values(
    guidelines: Guidelines, study: str, quality: tuple[SearchQuality, ...], figures: list[dict[str, Any]]
) -> dict[str, Any]:
    """The variables of the templates."""
    return {
        "study": study,
        "counts": guidelines.provenance,
        "cells": len(guidelines.cells),
        "searched": " and ".join(symbols(guidelines.cells)),
        "shape_section": shape_section(guidelines),
        "sections": list(dict.fromkeys(figure["section"] for figure in figures)),
        "figures": figures,
        "warnings": caution_lines(guidelines),
        "answers": answer_lines(guidelines),
        "most_panels": MOST_PANELS,
        "omitted": max(0, len({(c.label, c.optimizer) for c in guidelines.cells}) - MOST_PANELS),
        "tables": answer_tables(guidelines),
        "legend": legend(guidelines),
        "family_lines": family_lines(guidelines),
        "model_lines": model_lines(guidelines),
        "validation_lines": validation_lines(guidelines),
        "saved": saved_table(guidelines),
        "ended": ended_table(quality),
        "method": METHOD,
        "provenance": provenance_texts(guidelines.provenance),
    }


def _figure(sketch: Sketch, rendered: Rendered, folder: Path) -> dict[str, Any]:
    """Writes a figure's files; returns what the templates say of it."""
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
