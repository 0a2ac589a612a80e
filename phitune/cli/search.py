"""`phitune search`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phitune.cli.options import RUNS, Overrides, StudyFile, TrackingUri, Verbose, default_tracking_uri, this_line
from phitune.cli.options import console as new_console
from phitune.cli.range_test import print_ranges
from phitune.search.environment import environment

if TYPE_CHECKING:
    from phitune.search.study.model import Study


def search(
    study_file: StudyFile,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output directory.  [default: runs/NAME]", show_default=False),
    ] = None,
    tracking_uri: TrackingUri = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDR", help="Ray cluster to join: auto or HOST:PORT; without it Ray starts here."),
    ] = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the study and show its cells; run nothing.")
    ] = False,
    find_range: Annotated[
        bool, typer.Option("--range-test", help="Find the range of base LRs to search, in a dozen short trials each.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Search a study, or go on with an unfinished one.

    The same command line does both.

    \b
    Examples:
      phitune search my-study.yaml --dry-run
      phitune search my-study.yaml --range-test
      phitune search my-study.yaml
      phitune search my-study.yaml --set trials=80 --set space.phi=[0.1,10]
    """
    from phitune.search.study.file import read_study

    study = read_study(study_file, overrides or [])
    if find_range:
        from phitune.search.study.range_test import range_test

        study = range_test(study)
    out = out or RUNS / study.name
    if dry_run:
        _print_plan(study, out)
        return
    environment(verbose)
    from phitune.search.launch import launch

    console = new_console()
    tracking_uri = tracking_uri or default_tracking_uri()
    outcome = launch(study, out, tracking_uri, address, console, verbose)
    # A job of a cluster was started by another line.
    again = os.environ.get("PHITUNE_AGAIN") or this_line()
    if outcome.unwritten:
        console.print(
            f"{outcome.unwritten} trials are not in MLflow yet; they are safe in {out}. To write them: {again}",
            soft_wrap=True,
        )
    if outcome.trouble:
        console.print(f"{outcome.trouble}; nothing is lost. To go on: {again}", soft_wrap=True)
        raise typer.Exit(1)
    if not outcome.finished:
        console.print(f"Interrupted; nothing is lost. To go on: {again}", soft_wrap=True)
        raise typer.Exit(130)
    for line in outcome.hopeless:
        console.print(line, soft_wrap=True)
    if outcome.hopeless:
        vain = "No trial came to its end. " if outcome.in_vain else ""
        # What has failed is not tried again.
        console.print(f"{vain}When that is mended, begin anew with another --out than {out}.", soft_wrap=True)
    if outcome.in_vain:
        raise typer.Exit(1)
    if outcome.fresh == 0:
        console.print(f"Study {study.name!r} is finished already ({out}).")
    if find_range:
        print_ranges(out, tracking_uri, study_file, overrides or [], console)
    else:
        name = study.name if out == RUNS / study.name else str(out)
        console.print(f"Next: {shlex.join(['phitune', 'analyze', name])}", soft_wrap=True)
    if outcome.unwritten:
        raise typer.Exit(1)


def _print_plan(study: Study, out: Path) -> None:
    from phitune.search.proposing.warm_start import earlier_cells
    from phitune.search.records.directory import claim
    from phitune.search.stopping.ladder import rungs

    cells = study.cells
    for change in claim(study, out).changes:
        typer.echo(f"study changed: {change}")
    earlier_cells(study.earlier, out, cells)
    at_most = "at most " if study.auto else ""
    for cell in cells:
        judged = ", ".join(map(str, rungs(cell, study))) or "nowhere"
        low, high = cell.base_lr
        typer.echo(f"{cell.key}: {at_most}{study.most} trials, base LR {low:g} to {high:g}, judged at {judged}")
    for families in dict.fromkeys(", ".join(map(str, cell.families)) for cell in cells):
        typer.echo(f"families: {families}")
    counted = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    typer.echo(f"{counted}, {at_most}{len(cells) * study.most} trials and the replicates of their finalists, to {out}")
