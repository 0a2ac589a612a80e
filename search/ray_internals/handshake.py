"""Checks a Ray cluster before it is joined; Ray itself would wait for minutes and then report in many lines."""

from __future__ import annotations

import json

import grpc
import ray
from ray._common.usage import usage_constants
from ray._private import ray_constants
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
from ray._private.grpc_utils import init_grpc_channel
from ray._private.services import canonicalize_bootstrap_address
from ray._private.utils import check_version_info, compute_version_info
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
from ray.exceptions import AuthenticationError

from phitune.trainables.errors import InputError
from phitune.trainables.uri import without_credentials

_PATIENCE = 10.0


def require_cluster(address: str) -> None:
    """Checks that a cluster of the same Ray and Python is there and takes this process's token.

    Args:
        address: HOST:PORT, or ``auto`` for the one of this machine. Others, which only Ray resolves, are not checked.

    Raises:
        InputError: It is a URL, nothing answers within ten seconds, the token is missing or wrong, the versions differ.
    """
    if not address or "://" in address:
        raise InputError(
            f"--address: {without_credentials(address)!r} is not allowed; write auto, or HOST:PORT of the cluster's "
            "head; to a dashboard's URL a study is sent with phitune submit"
        )
    resolved = _resolved(address)
    if not resolved:
        return
    request = gcs_service_pb2.InternalKVGetRequest(
        key=usage_constants.CLUSTER_METADATA_KEY, namespace=ray_constants.KV_NAMESPACE_CLUSTER
    )
    # Otherwise gRPC would go through the HTTP proxy of the environment.
    direct = [("grpc.enable_http_proxy", 0)]
    try:
        with init_grpc_channel(resolved, direct) as channel:
            stub = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel)
            answer = stub.InternalKVGet(request, timeout=_PATIENCE)
    except AuthenticationError as error:
        raise _token_missing(address, error) from error
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise token_refused(address) from error
        reason = " ".join(str(error.details()).split())[:160]
        raise InputError(f"--address: no Ray cluster at {address!r} ({reason})") from error
    if answer.value:
        _require_same(address, json.loads(answer.value))


def auth_headers(address: str) -> dict[str, str]:
    """The headers with which this process's token goes to the cluster's dashboard; none without token authentication.

    Raises:
        InputError: There should be a token and there is none.
    """
    try:
        headers: dict[str, str] = get_auth_headers_if_auth_enabled({})
    except AuthenticationError as error:
        raise _token_missing(address, error) from error
    return headers


def token_refused(address: str) -> InputError:
    """The error for a cluster that does not accept the token of this process, or wants one and got none."""
    if not is_token_auth_enabled():
        return _token_missing(address)
    return InputError(
        f"--address: the cluster at {address!r} does not take the token; "
        "RAY_AUTH_TOKEN, else the file RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token, must hold the cluster's"
    )


def versions_differ(address: str, theirs: str, ours: str) -> InputError:
    """The error for a cluster with another Ray or Python."""
    return InputError(
        f"--address: the cluster at {address!r} has {theirs}, here is {ours}; they must be the same: "
        "install the same constraints.txt in both places"
    )


def _token_missing(address: str, error: Exception | None = None) -> InputError:
    why = f"there is none ({str(error).partition('. ')[0]})" if error else "none was sent"
    return InputError(
        f"--address: the cluster at {address!r} wants a token, and {why}; "
        "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    )


def _resolved(address: str) -> str | None:
    """HOST:PORT, None where there is none."""
    if address == "auto":
        # As `ray.init` does for ``auto``, and for no other address.
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        local: str | None = canonicalize_bootstrap_address("auto")
        return local
    host, colon, port = address.rpartition(":")
    return address if host and colon and port.isdigit() else None


def _require_same(address: str, metadata: dict[str, str]) -> None:
    try:
        check_version_info(metadata, "here")
    except RuntimeError as error:
        theirs = f"Ray {metadata['ray_version']} and Python {metadata['python_version']}"
        _, python = compute_version_info()
        raise versions_differ(address, theirs, f"Ray {ray.__version__} and Python {python}") from error
