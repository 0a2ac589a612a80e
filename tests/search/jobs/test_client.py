"""The job server is asked for its version, and every refusal is one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import ray

from phitune.search.jobs.client import jobs_at
from phitune.trainables.errors import InputError


@contextmanager
def answering(answer: object) -> Iterator[str]:
    """Stands where a cluster of another Ray would: no second Ray can be installed beside this one."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_cluster_of_another_ray_is_not_used() -> None:
    with answering({"version": "4", "ray_version": "2.1.0"}) as address, pytest.raises(InputError) as error:
        jobs_at(address)
    assert f"--address: the cluster at '{address}' has Ray 2.1.0, here is Ray {ray.__version__};" in str(error.value)


def test_what_is_no_ray_cluster_is_not_used() -> None:
    with answering(["hello"]) as address, pytest.raises(InputError, match="no Ray dashboard at"):
        jobs_at(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9", "no Ray dashboard at 'http://127.0.0.1:9' ([Errno 111] Connection refused)"),
        ("http://user:secret@127.0.0.1:9", "no Ray dashboard at 'http://127.0.0.1:9'"),
        ("127.0.0.1:8265", "write the address of the cluster's dashboard, such as http://127.0.0.1:8265"),
        ("auto", "write the address of the cluster's dashboard"),
        ("ray://127.0.0.1:10001", "write the address of the cluster's dashboard"),
    ],
)
def test_an_address_without_a_dashboard(address: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        jobs_at(address)
    assert message in str(error.value)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)
