"""`phitune ui`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from phitune.cli.options import RUNS, TrackingUri, default_tracking_uri


def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's user interface on the studies."""
    from phitune.trainables.errors import InputError
    from phitune.trainables.uri import require_host_and_port, without_credentials

    uri = require_host_and_port(tracking_uri or default_tracking_uri())
    if uri.startswith(("http:", "https:")):
        typer.echo(f"The tracking server shows them: {without_credentials(uri)}")
        return
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise InputError(f"tracking URI: {uri!r} has no database yet; run `phitune search STUDY.yaml` first")
    server = f"http://127.0.0.1:{port}"
    typer.echo(f"MLflow: {server} (answers within half a minute; Ctrl-C ends it)")
    for name, page in _pages(uri, server):
        typer.echo(f"{name}: {page}")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--port", str(port)]
    os.execv(sys.executable, command)


def _pages(uri: str, server: str) -> list[tuple[str, str]]:
    """The name and page in MLflow of each study below `RUNS`."""
    from phitune.search.tracking import runs_page
    from phitune.trainables.uri import absolute, without_credentials

    described = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RUNS.glob("*/study.json"))]
    return [
        (study["name"], runs_page(study["experiment_id"], server))
        for study in described
        if study.get("experiment_id") and study["tracking_uri"] == without_credentials(absolute(uri))
    ]
