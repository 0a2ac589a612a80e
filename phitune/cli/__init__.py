"""The command line: parses, calls, prints. A file for each command or group of commands."""

from __future__ import annotations

import signal
import sys

import typer

from phitune.cli import analyze, catalogue, init, jobs, recommend, search, show, ui

app = typer.Typer(
    name="phitune",
    help="Which learning-rate schedule, which φ and which base LR for a network trained under a fixed budget?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    init.init,
    search.search,
    jobs.submit,
    jobs.status,
    jobs.stop,
    analyze.analyze,
    show.show,
    recommend.recommend,
    ui.ui,
    catalogue.schedules,
    catalogue.workloads,
):
    app.command()(command)


def main() -> None:
    """Runs the command line; bad input ends in one line and exit code 2."""
    from phitune.trainables.errors import InputError, SurroundingsError

    # A termination cleans up as an interruption does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except (InputError, SurroundingsError) as error:
        print(f"phitune: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        print("phitune: interrupted", file=sys.stderr)
        sys.exit(130)
