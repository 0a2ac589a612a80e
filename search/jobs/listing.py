"""The jobs of a cluster that are studies."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from phitune.search.jobs.client import reachable
from phitune.trainables.errors import InputError

STUDY_KEY, OUT_KEY, AGAIN_KEY = "phitune.study", "phitune.out", "phitune.again"
_LOOK_EVERY = 0.5
# Exit codes of searches whose log says why they ended.
_EXPLAINED = (1, 2, 130)


@dataclass(frozen=True)
class Job:
    """A study's job.

    Attributes:
        out: The study's directory on the head.
        again: The line that submits it again.
        status: Ray's status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        since: Start of the job, or its end if it has ended; Unix time in seconds.
        message: Ray's message about it, in one line.
        exit_code: Exit code of the search; None if it has not ended by itself.
    """

    id: str
    study: str
    out: str
    again: str
    status: str
    since: float
    message: str
    exit_code: int | None

    @property
    def alive(self) -> bool:
        return not JobStatus(self.status).is_terminal()

    @property
    def advice(self) -> str:
        """Advice on how to continue the study, or on where its log says what to change."""
        return (
            "; its log says what to change" if self.exit_code == 2 else f"; the same study goes on with: {self.again}"
        )

    @property
    def ending(self) -> tuple[int, str]:
        """The exit code for a command that followed the job, and a message for what its log does not say."""
        if self.status == "SUCCEEDED":
            return 0, ""
        if self.exit_code == 127 or "No module named phitune" in self.message:
            return (
                1,
                "the `python` on the head's PATH has no phitune; run `ray start` there with its environment active",
            )
        if self.exit_code in _EXPLAINED:
            return self.exit_code, ""
        stopped = self.status == "STOPPED"
        why = "was stopped" if stopped else f"failed ({self.message[:200]})"
        return 130 if stopped else 1, f"Job {self.id} {why}; nothing is lost. To go on: {self.again}"


def listed(client: JobSubmissionClient) -> list[Job]:
    """All studies' jobs that the cluster remembers, the latest last.

    Raises:
        SurroundingsError: The cluster failed.
    """
    with reachable(client.get_address()):
        every_job = client.list_jobs()
    jobs = [_job(details) for details in every_job if STUDY_KEY in (details.metadata or {}) and details.submission_id]
    return sorted(jobs, key=lambda job: job.since)


def find(client: JobSubmissionClient, job_id: str) -> Job:
    """A study's job.

    Raises:
        InputError: There is no job of that id.
        SurroundingsError: The cluster failed.
    """
    jobs = {job.id: job for job in listed(client)}
    if job_id not in jobs:
        raise InputError(f"JOB: {job_id!r} is not there; jobs: {', '.join(jobs) or 'none'}")
    return jobs[job_id]


def stop(client: JobSubmissionClient, job: Job) -> Job:
    """Ends a job as Ctrl-C ends a search; returns it when it has ended.

    Raises:
        SurroundingsError: The cluster failed.
    """
    if job.alive:
        with reachable(client.get_address()):
            client.stop_job(job.id)
    while job.alive:
        time.sleep(_LOOK_EVERY)
        job = find(client, job.id)
    return job


def _job(details: JobDetails) -> Job:
    metadata = details.metadata
    return Job(
        id=details.submission_id,
        study=metadata[STUDY_KEY],
        out=metadata.get(OUT_KEY, ""),
        again=metadata.get(AGAIN_KEY, ""),
        status=details.status.value,
        since=(details.end_time or details.start_time or 0) / 1000,
        message=" ".join((details.message or "").split()),
        exit_code=details.driver_exit_code,
    )
