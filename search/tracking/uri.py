"""Tracking URIs, for people and for other folders."""

from __future__ import annotations

import re
from pathlib import Path

_SQLITE = "sqlite:///"
# Names the view of the runs table in the tag that holds it and in the addresses that open it.
VIEW_KEY = "phitune"
# ``user:password@``. A database's password may hold slashes, but what begins as ``:5000/`` is a port.
_USER = re.compile(r"(?<=://)[^\s:/?#@]*(?::(?!\d+(?:[/?#]|$))\S*)?@")
_SECRET_PARAMETER = re.compile(r"(?<=[?&])(?:password|passwd|sslpassword|token)=[^&\s]*&?", re.IGNORECASE)
_LAST = re.compile(r"[?&](?=\s|$)")


def without_credentials(text: str) -> str:
    """A tracking URI, or a text with one in it, that may be printed and stored."""
    return _LAST.sub("", _SECRET_PARAMETER.sub("", _USER.sub("", text)))


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
