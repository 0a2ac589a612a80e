"""`phitune submit`, `phitune status`, `phitune stop`: studies as jobs of a Ray cluster."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phitune.cli.options import Overrides, StudyFile, console, this_line

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from phitune.search.jobs import Job

DASHBOARD = "http://127.0.0.1:8265"
Dashboard = Annotated[
    str, typer.Option(metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="The Ray cluster's dashboard.")
]


def submit(
    study_file: StudyFile,
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

    The job does not need this machine to go on.

    \b
    Examples:
      phitune submit my-study.yaml --address http://head:8265
      phitune submit my-study.yaml --address http://head:8265 --no-wait
    """
    from phitune.search.study.file import read_study

    study = read_study(study_file, overrides or [])
    from phitune.search import jobs
    from phitune.search.jobs.submission import out_on_head

    submission = jobs.Submission(study, out_on_head(out, study.name), tracking_uri, this_line())
    client = jobs.jobs_at(address)
    job = jobs.submit(client, submission, Path.cwd())
    typer.echo(
        f"Job {job}: {study.name} to {submission.shown_out} on the cluster's head. It goes on without this machine."
    )
    typer.echo(f"Follow it: {_line('status', job, '--follow', address=address)}")
    typer.echo(f"Stop it:   {_line('stop', job, address=address)}")
    if wait:
        _follow(client, jobs.find(client, job), address)


def status(
    job_id: Annotated[str | None, typer.Argument(metavar="JOB", help="A job's id.", show_default=False)] = None,
    address: Dashboard = DASHBOARD,
    follow: Annotated[bool, typer.Option("--follow", help="Show what the job prints until it ends.")] = False,
) -> None:
    """List a cluster's jobs, or show one and the end of its log.

    \b
    Examples:
      phitune status --address http://head:8265
      phitune status JOB --follow --address http://head:8265
    """
    from phitune.search import jobs

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


def stop(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    address: Dashboard = DASHBOARD,
) -> None:
    """Stop a job, as Ctrl-C stops a search.

    \b
    Example:
      phitune stop JOB --address http://head:8265
    """
    from phitune.search import jobs

    client = jobs.jobs_at(address)
    job = jobs.find(client, job_id)
    if not job.alive:
        typer.echo(f"Job {job.id} has ended already ({job.status}).")
        return
    typer.echo(f"Stopping job {job.id}; MLflow gets what has ended.")
    job = jobs.stop(client, job)
    typer.echo(job.ending[1] or f"Job {job.id} had just ended ({job.status}).")


def _print_jobs(jobs: Sequence[Job]) -> None:
    from rich.table import Table

    table = Table("job", "study", "status", "since", "message", box=None, pad_edge=False)
    for job in jobs:
        since = datetime.fromtimestamp(job.since).strftime("%Y-%m-%d %H:%M")
        table.add_row(job.id, job.study, job.status, since, textwrap.shorten(job.message, 60, placeholder=" …"))
    console().print(table if jobs else "No study has been submitted there.")


def _follow(client: JobSubmissionClient, job: Job, address: str) -> None:
    """Shows what a job prints and exits with its exit code; Ctrl-C ends only this."""
    from phitune.search import jobs

    try:
        job = jobs.follow(client, job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"\nJob {job.id} goes on. Follow it: {_line('status', job.id, '--follow', address=address)}")
        typer.echo(f"Stop it: {_line('stop', job.id, address=address)}")
        raise typer.Exit(130) from None
    code, message = job.ending
    if message:
        typer.echo(message)
    if code:
        raise typer.Exit(code)


def _line(*words: str, address: str) -> str:
    """A command line for the same cluster, without credentials."""
    from phitune.trainables.uri import without_credentials

    return shlex.join(
        ["phitune", *words, *([] if address == DASHBOARD else ["--address", without_credentials(address)])]
    )
