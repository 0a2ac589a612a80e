"""Location of a study's trials: its name or directory, resolved to a tracking store that answers."""

import json
import os
import re
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from phitune.trainables.errors import InputError
from phitune.trainables.uri import absolute, database_file, require_host_and_port, without_credentials

DEFAULT_TRACKING_URI = "sqlite:///runs/mlflow.db"
STUDY_FILE, JOURNAL_FILE = "study.json", "trials.jsonl"
ANSWER_WITHIN_SECONDS = 10.0
PAGE = 1000
# The first line of study.yaml.
_ID = re.compile(r"# study_id: (\w+)")
# Databases that MLflow can use, but for the embedded one.
DATABASE_SERVERS = ("postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class StudyRef:
    """Location of a study's trials.

    Attributes:
        name: The study's name, which is the MLflow experiment's.
        tracking_uri: MLflow's tracking URI.
        out_dir: The study's output directory, if known.
        run_id: Its parent run in MLflow, if known.
        study_id: Its id, the tag phitune.study_id of that run, if known.
        trouble: That study.json is damaged, for the user; empty if it is whole.
    """

    name: str
    tracking_uri: str
    out_dir: Path | None = None
    run_id: str | None = None
    study_id: str | None = None
    trouble: str = ""

    @property
    def public_uri(self) -> str:
        """The tracking URI without credentials and with an absolute path, fit for a report."""
        return without_credentials(absolute(self.tracking_uri))


def find_study(study: str, tracking_uri: str | None = None) -> StudyRef:
    """Resolve a study's name or directory.

    Where study.json is damaged or missing, its study.yaml tells the study's name and id.

    Args:
        study: Its output directory (which holds study.json), or its name.
        tracking_uri: Overrides the one in study.json, $MLFLOW_TRACKING_URI and sqlite:///runs/mlflow.db, in that order.

    Returns:
        The study's name, tracking URI and output directory.

    Raises:
        InputError: No such study, or the tracking URI is malformed or nothing answers there; no database is created.
    """
    path = Path(study)
    places, files = (path, Path("runs") / study), (STUDY_FILE, JOURNAL_FILE)
    out_dir = next((place for place in places if any((place / file).is_file() for file in files)), None)
    if out_dir is None and path.is_dir() and (path.is_absolute() or len(path.parts) > 1):
        raise InputError(f"STUDY: {study!r} holds no {STUDY_FILE}, so it is not a study's output directory")
    notes, trouble = _read_notes(out_dir) if out_dir is not None else ({}, "")
    name = str(notes.get("name") or study)
    uri = tracking_uri or notes.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    # Another tracking store than the directory's own has another run.
    ref = StudyRef(name, require_host_and_port(str(uri)), out_dir, study_id=notes.get("study_id"), trouble=trouble)
    if ref.public_uri == notes.get("tracking_uri"):
        ref = replace(ref, run_id=notes.get("parent_run_id"))
    try:
        _require_answer(ref)
        names = _experiments(ref)
        if name not in names:
            near = get_close_matches(name, names, n=3, cutoff=0.5) or names[:5]
            hint = f"; there are: {', '.join(near)}" if near else "; it holds no study"
            raise InputError(f"STUDY: no study {study!r} at {ref.public_uri}{hint}")
    except InputError as error:
        raise InputError(f"{error}; {trouble}" if trouble else str(error)) from None
    return ref


def _read_notes(out_dir: Path) -> tuple[dict[str, Any], str]:
    """What study.json says, else what study.yaml says of it; and a sentence on the damage."""
    path = out_dir / STUDY_FILE
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        notes = None
    if isinstance(notes, dict) and notes.get("name"):
        return notes, ""
    state = "damaged" if path.exists() else "missing"
    trouble = (
        f"{path} is {state}, so its trials are looked for where --tracking-uri or the default says; "
        "the command that searched the study writes it anew"
    )
    try:
        text = (out_dir / "study.yaml").read_text(encoding="utf-8")
        name = str(yaml.safe_load(text)["name"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        raise InputError(f"STUDY: {trouble}") from None
    study_id = _ID.match(text)
    return {"name": name, "study_id": study_id[1] if study_id else None}, trouble


def is_sqlite(tracking_uri: str) -> bool:
    """Whether the store is an embedded database."""
    return database_file(tracking_uri) is not None


def read_only(tracking_uri: str) -> sqlite3.Connection:
    """A connection to an embedded database that creates no file and changes none."""
    file = database_file(tracking_uri)
    assert file is not None, "the store is an embedded database"
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def client_of(ref: StudyRef) -> Any:
    """MLflow's client for the study's store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=absolute(ref.tracking_uri))


def _require_answer(ref: StudyRef) -> None:
    """Ask cheaply whether MLflow is there: its own client creates missing databases and retries for minutes."""
    scheme = _scheme(ref.tracking_uri)
    path = database_file(ref.tracking_uri)
    if path is not None:
        if not path.is_file():
            raise InputError(
                f"STUDY: no study {ref.name!r}, as there is no MLflow database at {str(path)!r} ({ref.public_uri})"
            )
        try:
            with closing(read_only(ref.tracking_uri)) as connection:
                table = connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone()
        except sqlite3.DatabaseError:
            table = None
        if table is None:
            raise InputError(f"tracking URI: {str(path)!r} is not an MLflow database")
    elif scheme.partition("+")[0] in DATABASE_SERVERS:
        _connect(ref)
    elif scheme in ("http", "https"):
        try:
            urllib.request.urlopen(
                f"{StudyRef('', ref.tracking_uri).public_uri.rstrip('/')}/health", timeout=ANSWER_WITHIN_SECONDS
            )
        except urllib.error.HTTPError:
            return  # It answers; what it lets us read shows later.
        except (OSError, ValueError) as error:
            raise InputError(f"tracking URI: no MLflow server answers at {ref.public_uri} ({error})") from None


def _connect(ref: StudyRef) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(ref.tracking_uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        # Of a database's error its own words, without SQLAlchemy's around them.
        reason = _reason(getattr(error, "orig", None) or error)
        raise InputError(f"tracking URI: no database answers at {ref.public_uri} ({reason})") from None


def _scheme(uri: str) -> str:
    # A password may hold brackets, which urllib takes for an IPv6 address.
    return uri.partition(":")[0]


def _reason(error: BaseException) -> str:
    return without_credentials(str(error).splitlines()[0])[:200]


def _experiments(ref: StudyRef) -> list[str]:
    from mlflow.exceptions import MlflowException

    names: list[str] = []
    token: str | None = None
    try:
        client = client_of(ref)
        while True:
            page = client.search_experiments(max_results=PAGE, page_token=token)
            names += [str(e.name) for e in page if e.name != "Default"]
            token = page.token
            if not token:
                return names
    except (MlflowException, ImportError, OSError) as error:
        reason = _reason(error)
        if getattr(error, "error_code", "") == "UNAUTHENTICATED":
            reason = "it lets in only those with an account (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)"
        raise InputError(f"tracking URI: MLflow at {ref.public_uri} cannot be read: {reason}") from None
