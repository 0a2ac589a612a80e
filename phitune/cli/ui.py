"""`phitune ui`."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from phitune.cli.options import RUNS, TrackingUri, default_tracking_uri
from phitune.search.environment import environment


def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's user interface on the studies.

    \b
    Examples:
      phitune ui
      phitune ui --port 5001
    """
    environment(verbose=False)
    from phitune.trainables.errors import InputError
    from phitune.trainables.uri import absolute, database_file, require_host_and_port, without_credentials

    uri = require_host_and_port(tracking_uri or default_tracking_uri())
    if uri.startswith(("http:", "https:")):
        typer.echo(f"The tracking server shows them: {without_credentials(uri)}")
        return
    file = database_file(uri)
    if file is not None and not file.exists():
        raise InputError(f"tracking URI: {uri!r} has no database yet; run `phitune search STUDY.yaml` first")
    server = f"http://127.0.0.1:{port}"
    typer.echo(f"MLflow: {server} (answers within half a minute; Ctrl-C ends it)")
    for name, page in pages(uri, server):
        typer.echo(f"{name}: {page}")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", absolute(uri), "--port", str(port)]
    os.execv(sys.executable, command)


def pages(uri: str, server: str) -> list[tuple[str, str]]:
    """The name and page in MLflow of each study below `RUNS`."""
    from phitune.search.tracking import runs_page
    from phitune.trainables.uri import absolute, without_credentials

    known = []
    for path in sorted(RUNS.glob("*/study.json")):
        try:
            study = json.loads(path.read_text(encoding="utf-8"))
            name, store, experiment = study["name"], study["tracking_uri"], study.get("experiment_id")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            typer.echo(f"{path} is damaged, so its study is not listed; MLflow has it", err=True)
            continue
        if experiment and store == without_credentials(absolute(uri)):
            known.append((str(name), runs_page(experiment, server)))
    return known
