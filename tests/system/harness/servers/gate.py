"""HTTP basic authentication in front of a server, as reverse proxies put it before MLflow."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def gate(user: str, password: str, server: str) -> Iterator[int]:
    """Passes requests with the right password on to ``server``; yields the gate's port on loopback."""
    credentials = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Gate(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            if self.headers.get("Authorization") != credentials:
                self._answer(401, "text/plain", b"who are you?")
                return
            kind = self.headers.get("Content-Type", "application/json")
            request = urllib.request.Request(
                server + self.path, data=body, headers={"Content-Type": kind}, method=self.command
            )
            try:
                with urllib.request.urlopen(request) as answer:
                    self._answer(answer.status, answer.headers["Content-Type"], answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.headers["Content-Type"], error.read())

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Gate) as gatekeeper:
        threading.Thread(target=gatekeeper.serve_forever, daemon=True).start()
        try:
            yield gatekeeper.server_port
        finally:
            gatekeeper.shutdown()
