"""Options, defaults and the console that several commands share."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

RUNS = Path("runs")

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file; or quickstart.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow server or database.  [default: sqlite:///runs/mlflow.db]",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study file; repeatable.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the output of Ray and MLflow too.")]


def default_tracking_uri() -> str:
    """The embedded database below the working directory."""
    return f"sqlite:///{RUNS}/mlflow.db"


def console() -> Console:
    """A console as wide as the terminal, or 120 columns where there is none."""
    from rich.console import Console

    # Brackets are intervals and lists of a study file: none is markup.
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)


def this_line() -> str:
    """The command line of this process, without credentials."""
    from phitune.trainables.uri import without_credentials

    return shlex.join(["phitune", *map(without_credentials, sys.argv[1:])])
