"""`phitune analyze`."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import typer

from phitune.cli.options import Verbose
from phitune.cli.options import console as new_console
from phitune.search.environment import environment


def analyze(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY",
            help="The study's name, its output directory, or a CSV file of your own results; several are joined.",
        ),
    ],
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="MLflow server or database.  [default: the one it was searched with]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write.  [default: report/ in the study's directory]", show_default=False
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Fit guidelines to a study's results and write the report."""
    environment(verbose)
    from rich.table import Table

    from phitune.analysis.report.run import analyze as run_analysis
    from phitune.analysis.report.words.cells import legend, summary_table
    from phitune.analysis.report.words.headlines import headlines

    console = new_console()
    analysis = run_analysis(studies, tracking_uri, out)
    for (workload, optimizer), rows in groupby(summary_table(analysis.guidelines), itemgetter("workload", "optimizer")):
        columns = [{k: v for k, v in row.items() if k not in ("workload", "optimizer")} for row in rows]
        table = Table(*columns[0], box=None, pad_edge=False)
        for row in columns:
            table.add_row(*row.values())
        console.print(f"\n{workload} with {optimizer}", style="bold")
        console.print(table)
    console.print(f"\n{legend(analysis.guidelines)}\n", style="dim")
    for line in headlines(analysis.guidelines):
        console.print(line)
    for line in analysis.guidelines.provenance["left_out"]:
        console.print(f"Note: {line}", soft_wrap=True)
    console.print(f"Report: {analysis.out / 'report.html'}", soft_wrap=True)
    if analysis.not_logged:
        console.print(f"The report is not in MLflow: {analysis.not_logged}", soft_wrap=True)
