"""A study submitted to a cluster as a job."""

from __future__ import annotations

import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from ray.job_submission import JobSubmissionClient

from phitune.search.jobs.client import reachable
from phitune.search.jobs.listing import AGAIN_KEY, OUT_KEY, STUDY_KEY, listed
from phitune.search.jobs.package import STUDY_FILE, package
from phitune.search.study.model import Study
from phitune.trainables.errors import InputError
from phitune.trainables.uri import database_uri, require_host_and_port, without_credentials

# Below the home directory of the cluster's head.
HOME = PurePosixPath("phitune-runs")
# As Ctrl-C stops a search; MLflow gets what has ended meanwhile. Ray alone would kill after three seconds.
_STOPPING = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "300"}


@dataclass(frozen=True)
class Submission:
    """A study and where the cluster puts it.

    Attributes:
        study: The checked study.
        out: The study's directory on the cluster's head: absolute, or below the home directory there.
        tracking_uri: MLflow's, as seen from the head; None leaves it to the head's environment, else to a database
            beside the study's directory.
        again: The line that submits it again.

    Raises:
        InputError: The tracking URI is malformed, holds a password, or names a file in the job's own folder.
    """

    study: Study
    out: PurePosixPath
    tracking_uri: str | None
    again: str

    def __post_init__(self) -> None:
        uri = self.tracking_uri
        if uri is None:
            return
        require_host_and_port(uri)
        if without_credentials(uri) != uri:
            raise InputError(
                f"tracking URI: {without_credentials(uri)!r} came with what may be credentials, which all who see the "
                "cluster's jobs could read; give the URI without them, and give them to the head: in "
                "~/.mlflow/credentials, or in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where `ray start` "
                "runs"
            )
        if urlsplit(uri).scheme in ("", "sqlite") and not uri.startswith("sqlite:////"):
            raise InputError(
                f"tracking URI: {uri!r} is not allowed; on a cluster it must be a server's, or an absolute path on its "
                "head, such as sqlite:////home/ubuntu/mlflow.db"
            )

    @property
    def shown_out(self) -> str:
        """The study's directory as messages show it."""
        return str(self.out if self.out.is_absolute() else "~" / self.out)

    @property
    def entrypoint(self) -> str:
        """The job's line for the shell of the head."""
        out = shlex.quote(str(self.out)) if self.out.is_absolute() else f'"$HOME"/{shlex.quote(str(self.out))}'
        default = ""
        if self.tracking_uri is None:
            uri = '"${MLFLOW_TRACKING_URI:-$default}"'
            scheme, _, path = database_uri(Path(self.out.parent / "mlflow.db")).partition(":///")
            home = "" if self.out.is_absolute() else '"$HOME"/'
            default = f"default={scheme}:///{home}{shlex.quote(path)}; "
        else:
            uri = shlex.quote(self.tracking_uri)
        return (
            f"out={out}; {default}export MLFLOW_TRACKING_URI={uri} PHITUNE_AGAIN={shlex.quote(self.again)}; "
            f'exec python -m phitune search {STUDY_FILE} --out "$out" --address auto'
        )


def out_on_head(out: str | None, name: str) -> PurePosixPath:
    """The study's directory there: ``out``, or without it ``phitune-runs/NAME`` below the home directory.

    Raises:
        InputError: It leaves the home directory.
    """
    path = PurePosixPath(out) if out else HOME / name
    if ".." in path.parts:
        raise InputError(f"--out: {out!r} is not allowed; it must be absolute, or below the head's home directory")
    return PurePosixPath(*path.parts[1:]) if path.parts[:1] == ("~",) else path


def submit(client: JobSubmissionClient, submission: Submission, folder: Path) -> str:
    """Sends a study and the working directory to the cluster and starts the job.

    Args:
        folder: The working directory, where the study's own modules are.

    Returns:
        The job's id.

    Raises:
        InputError: A job is at work on the study's directory, or the working directory cannot be sent.
        SurroundingsError: The cluster failed.
    """
    address = client.get_address()
    for job in listed(client):
        if job.alive and job.out == submission.shown_out:
            raise InputError(
                f"--out: job {job.id} is at work on {submission.study.name!r} in {job.out} on the cluster; follow it: "
                f"phitune status {job.id} --follow --address {shlex.quote(without_credentials(address))}"
            )
    with TemporaryDirectory(prefix="phitune-") as scratch:
        zipped = Path(scratch, "package.zip")
        package(folder, submission.study.to_yaml(), zipped)
        with reachable(address):
            return str(
                client.submit_job(
                    entrypoint=submission.entrypoint,
                    submission_id=f"{submission.study.name}-{uuid.uuid4().hex[:6]}",
                    runtime_env={"working_dir": str(zipped), "env_vars": _STOPPING},
                    metadata={
                        STUDY_KEY: submission.study.name,
                        OUT_KEY: submission.shown_out,
                        AGAIN_KEY: submission.again,
                    },
                )
            )
