"""The command line, nothing else: parses, calls, prints."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import textwrap
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from search.jobs import Job
    from search.study import Study

app = typer.Typer(
    name="phitune",
    help="Which learning-rate schedule, which φ and which base LR for a network trained under a fixed budget?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RUNS = Path("runs")

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
DASHBOARD = "http://127.0.0.1:8265"
Dashboard = Annotated[
    str, typer.Option(metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="The Ray cluster's dashboard.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what Ray and MLflow say themselves.")]


@app.command()
def search(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    out: Annotated[
        Path | None, typer.Option(help="Output directory.  [default: runs/NAME]", show_default=False)
    ] = None,
    tracking_uri: TrackingUri = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join (auto or HOST:PORT); without it Ray starts here.")
    ] = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option(help="Check the study and show its cells; run nothing.")] = False,
    verbose: Verbose = False,
) -> None:
    """Search a study. The same line goes on with an unfinished one."""
    from search.study_file import read_study

    study = read_study(study_file, overrides or [])
    out = out or RUNS / study.name
    console = _console()
    if dry_run:
        _print_plan(study, out)
        return
    _quiet(verbose)
    from search.launch import launch

    uri = _tracking_uri(tracking_uri)
    outcome = launch(study, out, uri, address, console, verbose)
    # A job of a cluster was started by another line.
    again = os.environ.get("PHITUNE_AGAIN") or _this_line()
    if outcome.unwritten:
        console.print(
            f"{outcome.unwritten} trials are not in MLflow yet; they are safe in {out}. To write them: {again}"
        )
    if outcome.trouble:
        console.print(f"{outcome.trouble}; nothing is lost. To go on: {again}", soft_wrap=True)
        raise typer.Exit(1)
    if not outcome.finished:
        console.print(f"Interrupted; nothing is lost. To go on: {again}", soft_wrap=True)
        raise typer.Exit(130)
    if outcome.fresh == 0:
        console.print(f"Study {study.name!r} is finished already ({out}).")
    console.print(f"Next: phitune analyze {out if out != RUNS / study.name else study.name}", soft_wrap=True)
    if outcome.unwritten:
        raise typer.Exit(1)


@app.command()
def submit(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    address: Dashboard = DASHBOARD,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Directory on the cluster's head, absolute or below the home directory there.  "
            "[default: phitune-runs/NAME]",
            show_default=False,
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            envvar="MLFLOW_TRACKING_URI",
            help="MLflow as the head sees it, without credentials.  [default: MLFLOW_TRACKING_URI of the head, "
            "else mlflow.db beside the study's directory]",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job until it ends.")] = True,
) -> None:
    """Search a study as a job of a Ray cluster.

    The job goes on without this machine.
    """
    from search.study_file import read_study

    study = read_study(study_file, overrides or [])
    from search import jobs
    from search.jobs.submission import out_on_head

    submission = jobs.Submission(study, out_on_head(out, study.name), tracking_uri, _this_line())
    client = jobs.jobs_at(address)
    job = jobs.submit(client, submission, Path.cwd())
    typer.echo(
        f"Job {job}: {study.name} to {submission.shown_out} on the cluster's head. It goes on without this machine."
    )
    typer.echo(f"Follow it: {_line('status', job, '--follow', address=address)}")
    typer.echo(f"Stop it:   {_line('stop', job, address=address)}")
    if wait:
        _follow(client, jobs.find(client, job), address)


@app.command()
def status(
    job_id: Annotated[str | None, typer.Argument(metavar="JOB", help="A job's id.", show_default=False)] = None,
    address: Dashboard = DASHBOARD,
    follow: Annotated[bool, typer.Option("--follow", help="Show what the job prints until it ends.")] = False,
) -> None:
    """List a cluster's jobs, or show one and the end of its log."""
    from search import jobs

    client = jobs.jobs_at(address)
    if job_id is None:
        _print_jobs(jobs.listed(client))
        return
    job = jobs.find(client, job_id)
    if follow:
        _follow(client, job, address)
        return
    _print_jobs([job])
    typer.echo(f"\nIn {job.out} on the cluster's head{job.advice}\n")
    typer.echo(jobs.log_end(client, job, 20))


@app.command()
def stop(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    address: Dashboard = DASHBOARD,
) -> None:
    """End a job as Ctrl-C ends a search."""
    from search import jobs

    client = jobs.jobs_at(address)
    job = jobs.find(client, job_id)
    if not job.alive:
        typer.echo(f"Job {job.id} has ended already ({job.status}).")
        return
    typer.echo(f"Stopping job {job.id}; MLflow gets what has ended.")
    job = jobs.stop(client, job)
    typer.echo(job.ending[1] or f"Job {job.id} had just ended ({job.status}).")


@app.command()
def analyze(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY",
            help="The study's name, its output directory, or a CSV of one's own results; several are joined.",
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
        typer.Option(help="Where to write.  [default: report/ in the study's directory]", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Fit guidelines from a study's results; write the report."""
    _quiet(verbose)
    from rich.table import Table

    from analysis import analyze as run_analysis
    from analysis.headlines import headlines
    from analysis.wording import summary_table

    console = _console()
    analysis = run_analysis(studies, tracking_uri, out)
    for (workload, optimizer), rows in groupby(summary_table(analysis.guidelines), itemgetter("workload", "optimizer")):
        columns = [{k: v for k, v in row.items() if k not in ("workload", "optimizer")} for row in rows]
        table = Table(*columns[0], box=None, pad_edge=False)
        for row in columns:
            table.add_row(*row.values())
        console.print(f"\n{workload} with {optimizer}", style="bold")
        console.print(table)
    console.print("\nBrackets: 90 % intervals. Gains: per cent of the objective, positive is better.\n")
    for line in headlines(analysis.guidelines):
        console.print(line)
    for line in analysis.guidelines.provenance["left_out"]:
        console.print(f"Note: {line}", soft_wrap=True)
    console.print(f"Report: {analysis.out / 'report.html'}", soft_wrap=True)
    if analysis.not_logged:
        console.print(f"The report is not in MLflow: {analysis.not_logged}", soft_wrap=True)


@app.command()
def recommend(
    workload: Annotated[str, typer.Option(metavar="NAME", help="Workload, such as mlp/digits.")],
    budget: Annotated[str, typer.Option(metavar="STEPS|PERCENT%", help="Iterations, or percent of the full budget.")],
    optimizer: Annotated[str, typer.Option(help="Optimizer.")] = "sgd",
    guidelines: Annotated[
        Path | None,
        typer.Option(help="guidelines.json.  [default: the newest in runs/*/report]", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which schedule, φ and base LR to take.

    With intervals, the evidence and warnings.
    """
    from analysis import recommend as recommended

    answer = recommended(workload, budget, optimizer=optimizer, guidelines=guidelines)
    typer.echo(answer.to_json() if as_json else str(answer))


@app.command()
def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's user interface on the studies."""
    uri = _tracking_uri(tracking_uri)
    if uri.startswith(("http:", "https:")):
        typer.echo(f"The tracking server shows them: {uri}")
        return
    from trainables.errors import InputError

    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise InputError(f"tracking URI: {uri!r} has no database yet; run `phitune search STUDY.yaml` first")
    server = f"http://127.0.0.1:{port}"
    typer.echo(f"MLflow: {server} (answers within half a minute; Ctrl-C ends it)")
    for name, page in _pages(uri, server):
        typer.echo(f"{name}: {page}")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--port", str(port)]
    os.execv(sys.executable, command)


@app.command()
def schedules(
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them to FILE (.png, .svg, .pdf).")] = None,
) -> None:
    """List the schedule families."""
    from trainables.schedules import families, family

    if plot is not None:
        from analysis.schedule_plots import save_schedules

        save_schedules(plot)
        typer.echo(f"Drawn: {plot}")
        return
    for name in families():
        cls = family(name)
        summary = (cls.__doc__ or "").strip().splitlines()[0].replace("``", "")
        typer.echo(f"{name:15} {summary}")
        parameters = ", ".join(_parameter(cls, key) for key in cls.own_fields())
        for line in textwrap.wrap(parameters, 100, break_on_hyphens=False):
            typer.echo(f"{'':15} {line}")
    typer.echo(
        "\nIn brackets: a parameter's range where a study searches it, as it does if there is no default or its `space`"
        "\nnames the parameter. One's own: module:Class, a subclass of Schedule (docs/schedules.md)."
        "\nEvery family also takes warmup (0.1 of the budget, or 500 iterations), floor (0.1 of the base LR) and"
        "\nsampling (the LR changes once every 0.1 of the budget, or at [0.5, 0.75] alone)."
    )


@app.command()
def workloads() -> None:
    """List the workloads, their full budgets and optimizers."""
    from trainables.spec import Spec
    from trainables.workloads import names, parameters, workload
    from trainables.workloads.recipe import Recipe

    for name in names():
        built = workload(Spec(name))
        given = [f"{key}={value}" for key, value in parameters(name).items() if key not in Recipe.names()]
        # An image folder's full budget depends on how many images there are.
        budget = "by its images" if name == "*/images" else f"{built.full_budget} iterations"
        typer.echo(
            f"{name:22} full budget {budget}, {built.metric_name}" + (f"; takes {', '.join(given)}" if given else "")
        )
    typer.echo(
        "\nFor *: mlp, cnn, resnet8 to resnet110, vit-tiny, or any classifier of torchvision.models, such as resnet18."
        f"\nAll but quadratic also take the recipe: {', '.join(Recipe.names())}."
        "\nOne's own: module:Class, a subclass of trainables.workloads.Workload (docs/workloads.md)."
    )


def _print_plan(study: Study, out: Path) -> None:
    from search.stopping import rungs
    from search.warm_start import earlier_cells

    cells = study.cells()
    earlier_cells(study.warm_start, out, cells)
    for cell in cells:
        judged = ", ".join(map(str, rungs(cell, study))) or "nowhere"
        low, high = cell.base_lr
        typer.echo(f"{cell.key}: {study.trials} trials, base LR {low:g} to {high:g}, judged at {judged}")
    typer.echo(
        f"{len(cells)} cells, {len(cells) * study.trials} trials and the replicates of their finalists, to {out}"
    )


def _pages(uri: str, server: str) -> list[tuple[str, str]]:
    """Where MLflow shows the studies below `RUNS`, by name."""
    from search.tracking import absolute, runs_page

    described = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RUNS.glob("*/study.json"))]
    return [
        (study["name"], runs_page(study["experiment_id"], server))
        for study in described
        if study.get("experiment_id") and study["tracking_uri"] == absolute(uri)
    ]


def _parameter(cls: Any, key: str) -> str:
    """A schedule's parameter with its default and its range, as far as it has them."""
    field, searched = cls.__dataclass_fields__[key], cls.parameters.get(key)
    default = "" if key in cls.required() else f"={field.default}"
    return key + default + (f" [{searched.low:g}, {searched.high:g}]" if searched else "")


def _print_jobs(found: list[Job]) -> None:
    from datetime import datetime

    from rich.table import Table

    table = Table("job", "study", "status", "since", "message", box=None, pad_edge=False)
    for job in found:
        since = datetime.fromtimestamp(job.since).strftime("%Y-%m-%d %H:%M")
        table.add_row(job.id, job.study, job.status, since, textwrap.shorten(job.message, 60, placeholder=" …"))
    _console().print(table if found else "No study has been submitted there.")


def _follow(client: JobSubmissionClient, job: Job, address: str) -> None:
    """Shows what a job prints; exits as it did. Ctrl-C ends only this."""
    from search import jobs

    try:
        job = jobs.follow(client, job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"\nJob {job.id} goes on. Follow it: {_line('status', job.id, '--follow', address=address)}")
        typer.echo(f"Stop it: {_line('stop', job.id, address=address)}")
        raise typer.Exit(130) from None
    code, told = job.ending
    if told:
        typer.echo(told)
    if code:
        raise typer.Exit(code)


def _line(*words: str, address: str) -> str:
    """A line of this command for a cluster."""
    from search.tracking import without_credentials

    return shlex.join(
        ["phitune", *words, *([] if address == DASHBOARD else ["--address", without_credentials(address)])]
    )


def _this_line() -> str:
    """The line that this process was started with, fit to be shown."""
    from search.tracking import without_credentials

    return shlex.join(["phitune", *map(without_credentials, sys.argv[1:])])


def _tracking_uri(given: str | None) -> str:
    return given or f"sqlite:///{RUNS}/mlflow.db"


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _quiet(verbose: bool) -> None:
    """Before the heavy imports: some of these are read while importing."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not verbose:
        os.environ.setdefault("RAY_DEDUP_LOGS", "1")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def main() -> None:
    """Runs the command line; bad input ends in one line and exit code 2."""
    from trainables.errors import InputError, SurroundingsError

    # With all that an interruption does away with.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except (InputError, SurroundingsError) as error:
        print(f"phitune: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        print("phitune: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
