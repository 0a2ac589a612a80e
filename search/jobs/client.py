"""The client of a cluster's job server, which must be of the same Ray."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import ray
import requests
from ray.job_submission import JobSubmissionClient

from phitune.search.environment import forget_cluster_addresses
from phitune.search.ray_internals.touch import needed
from phitune.trainables.errors import InputError, SurroundingsError
from phitune.trainables.uri import without_credentials

with needed():
    from phitune.search.ray_internals.handshake import auth_headers, token_refused, versions_differ

_PATIENCE = 10.0


def jobs_at(address: str) -> JobSubmissionClient:
    """A client of the job server.

    Args:
        address: The cluster's dashboard, such as ``http://127.0.0.1:8265``.

    Raises:
        InputError: Nothing answers there within ten seconds or it is no Ray cluster, it does not take the token, or it
            runs another Ray.
    """
    parts = urlsplit(address)
    shown = without_credentials(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"--address: {shown!r} is not allowed; write the address of the cluster's dashboard, "
            "such as http://127.0.0.1:8265"
        )
    forget_cluster_addresses()
    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)
    headers = auth_headers(shown)
    theirs = _ray_version(address, shown, headers)
    if theirs != ray.__version__:
        raise versions_differ(shown, f"Ray {theirs}", f"Ray {ray.__version__}")
    with reachable(shown):
        return JobSubmissionClient(address)


@contextmanager
def reachable(address: str) -> Iterator[None]:
    """Reports in one line what fails between here and the job server.

    Raises:
        SurroundingsError: The server went away or failed.
    """
    try:
        yield
    except (requests.RequestException, ConnectionError, RuntimeError) as error:
        where = without_credentials(address)
        raise SurroundingsError(f"--address: the cluster at {where!r} fails ({_reason(error)})") from error


def _ray_version(address: str, shown: str, headers: dict[str, str]) -> str:
    try:
        answer = requests.get(f"{address.rstrip('/')}/api/version", headers=headers, timeout=_PATIENCE)
        if answer.status_code in (401, 403):
            raise token_refused(shown)
        answer.raise_for_status()
        return str(answer.json()["ray_version"])
    except (requests.RequestException, KeyError, TypeError) as error:
        raise InputError(f"--address: no Ray dashboard at {shown!r} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """The innermost cause of a failed connection, in one line."""
    text = " ".join(str(error).split())
    # "HTTPConnectionPool(...): ... (Caused by NewConnectionError('...: [Errno 111] Connection refused'))"
    inner = re.search(r"\[Errno -?\d+\] [^'\")]+", text)
    return without_credentials(inner[0] if inner else text)[:160]
