"""Tracking URIs, for people and for other folders."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_SQLITE = "sqlite:///"
# Names the view of the runs table in the tag that holds it and in the addresses that open it.
VIEW_KEY = "phitune"


def without_credentials(uri: str) -> str:
    """A tracking URI that may be printed and stored."""
    parts = urlsplit(uri)
    if not parts.username and not parts.password:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def absolute(uri: str) -> str:
    """A tracking URI that means the same from every folder."""
    file = database_file(uri)
    return uri if file is None else f"{_SQLITE}{file.resolve()}"


def database_file(uri: str) -> Path | None:
    """The file of an embedded database; None for servers and other databases."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def runs_page(experiment_id: str, server: str = "") -> str:
    """Where MLflow shows an experiment's runs, as model training and with the columns that tell trials apart."""
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
