"""`phitune analyze`."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phitune.cli.complete import study_names
from phitune.cli.options import Verbose
from phitune.cli.options import console as new_console
from phitune.cli.show import print_summary
from phitune.search.environment import environment

if TYPE_CHECKING:
    from rich.console import Console

    from phitune.analysis.report.run import Analysis


def analyze(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY",
            help="The study's name, its output directory, or a CSV file of your own results; several are joined.",
            autocompletion=study_names,
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
    watch: Annotated[
        bool, typer.Option("--watch", help="While it is searched, write the report anew when trials have ended.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1.0, help="With --watch: the pause between two reports.")
    ] = 60.0,
    verbose: Verbose = False,
) -> None:
    """Fit guidelines to a study's results and write the report.

    \b
    Examples:
      phitune analyze my-study
      phitune analyze my-study another-study --out runs/both/report
      phitune analyze my-study --watch
    """
    environment(verbose)
    from phitune.analysis.report.run import analyze as run_analysis
    from phitune.analysis.report.words.summary import summary

    console = new_console()
    if watch:
        analysis = _last_of(studies, tracking_uri, out, every, console)
    else:
        analysis = run_analysis(studies, tracking_uri, out)
    print_summary(console, summary(analysis.guidelines))
    console.print(f"Report: {analysis.out / 'report.html'}", soft_wrap=True)
    if analysis.not_logged:
        console.print(f"The report is not in MLflow: {analysis.not_logged}", soft_wrap=True)


def _last_of(
    studies: list[str], tracking_uri: str | None, out: Path | None, pause: float, console: Console
) -> Analysis:
    """The analysis when the search of a study has ended; until then a line for each report."""
    from phitune.analysis.report.watch import watch
    from phitune.trainables.errors import InputError

    if len(studies) > 1:
        raise InputError(f"--watch: {len(studies)} studies are not allowed; it takes one")
    # The search goes first.
    os.nice(10)
    console.print("Watching until the search has ended; Ctrl-C ends this alone.")
    for analysis in watch(studies[0], tracking_uri, out, pause):
        line = f"{datetime.now():%H:%M:%S}  {len(analysis.table)} trials: {analysis.out / 'report.html'}"
        console.print(line, soft_wrap=True)
    return analysis
