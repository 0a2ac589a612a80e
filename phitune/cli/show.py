"""`phitune show`; the summary of an analysis on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phitune.cli.complete import study_names
from phitune.cli.options import console as new_console

if TYPE_CHECKING:
    from rich.console import Console


def show(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="The study's name, or its output directory.", autocompletion=study_names),
    ],
) -> None:
    """Show what the last analysis of a study said.

    Nothing is fitted anew, so it takes a second.

    \b
    Examples:
      phitune show my-study
      phitune show runs/both
    """
    from phitune.analysis.report.saved import saved_report

    console = new_console()
    report = saved_report(study)
    print_summary(console, report.summary)
    console.print(f"Report: {report.folder / 'report.html'}, of {report.date}", soft_wrap=True)
    if report.since:
        again = shlex.join(["phitune", "analyze", study])
        console.print(
            f"It is older than the trials, of which {report.since} ended since. Anew: {again}", soft_wrap=True
        )


def print_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Prints the answers as of `phitune.analysis.report.words.summary.summary`."""
    from rich.table import Table

    for (workload, optimizer), rows in groupby(summary["rows"], itemgetter("workload", "optimizer")):
        columns = [{k: v for k, v in row.items() if k not in ("workload", "optimizer")} for row in rows]
        table = Table(*columns[0], box=None, pad_edge=False)
        for row in columns:
            table.add_row(*row.values())
        console.print(f"\n{workload} with {optimizer}", style="bold")
        console.print(table)
    console.print(f"\n{summary['legend']}\n", style="dim")
    for line in summary["lines"]:
        console.print(line)
    for line in summary["notes"]:
        console.print(f"Note: {line}", soft_wrap=True)
