"""Follows the output of a job; the connection may break, the job goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

import aiohttp
from ray.job_submission import JobSubmissionClient

from phitune.search.jobs.client import reachable
from phitune.search.jobs.listing import Job, find
from phitune.trainables.errors import SurroundingsError

_AGAIN_AFTER = 2.0
# A search says something every ten seconds; a laptop that slept may hold a connection that is dead.
_SILENCE = 60.0
_GONE = 120.0


def follow(client: JobSubmissionClient, job: Job, say: Callable[[str], None]) -> Job:
    """Passes a job's output to ``say`` until the job ends; returns the ended job.

    Raises:
        SurroundingsError: The cluster has been away for two minutes.
    """
    said, heard = 0, time.monotonic()

    def say_rest(text: str) -> None:
        nonlocal said, heard
        said, heard = said + len(text), time.monotonic()
        say(text)

    while True:
        try:
            asyncio.run(_tail(client, job.id, said, say_rest))
            job = find(client, job.id)
            heard = time.monotonic()
            if not job.alive:
                return job
        except (TimeoutError, OSError, RuntimeError, SurroundingsError, aiohttp.ClientError) as error:
            if time.monotonic() - heard > _GONE:
                reason = " ".join(str(error).split())[:160]
                raise SurroundingsError(f"the cluster is away ({reason}); the job may go on there") from error
        time.sleep(_AGAIN_AFTER)


def log_end(client: JobSubmissionClient, job: Job, lines: int) -> str:
    """The last lines of a job's output.

    Raises:
        SurroundingsError: The cluster failed.
    """
    with reachable(client.get_address()):
        return "\n".join(str(client.get_job_logs(job.id)).splitlines()[-lines:])


async def _tail(client: JobSubmissionClient, job_id: str, skip: int, say: Callable[[str], None]) -> None:
    """Passes on a job's output without its first ``skip`` characters, which were passed on already."""
    async with aclosing(client.tail_job_logs(job_id)) as chunks:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), _SILENCE)
            except StopAsyncIteration:
                return
            if chunk[skip:]:
                say(chunk[skip:])
            skip = max(0, skip - len(chunk))
