"""Tracking URIs: the form that may be shown and stored, and the file of an embedded database."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, unquote_plus, urlsplit

from phitune.trainables.errors import InputError

_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///([^?]*)(.*)", re.DOTALL)
# What SQLAlchemy reads as something else than a letter of a path.
_QUOTED = {ord(letter): f"%{ord(letter):02X}" for letter in "%?#"}
# What a store needs to be found again and that holds no secret. All other parameters are taken out, known or not: a
# driver may take credentials in any of its own (password, sslkey, odbc_connect, ...).
_HARMLESS = frozenset(
    re.findall(
        r"\w+",
        """
        host port driver charset client_encoding application_name connect_timeout read_timeout write_timeout
        timeout ssl sslmode sslrootcert sslcrl ssl_ca ssl_mode ssl_check_hostname ssl_verify_cert
        ssl_verify_identity tls encrypt trustservercertificate multisubnetfailover trusted_connection
        unix_socket target_session_attrs channel_binding gssencmode options mode cache uri nolock immutable
        check_same_thread
        """,
    )
)
# Beside plain words, PostgreSQL's way to name a schema; ``=`` and ``;`` could begin another setting.
_PLAIN = re.compile(r"(-c ?search_path=)?[\w .,+/:-]*")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
# As SQLAlchemy reads it: a password may hold anything but ``@``.
_USER = re.compile(r"[^:/]*(?::[^@]*)?@")
_IN_TEXT = re.compile(r"([A-Za-z][\w+.-]*)://(\S*[^\s'\")\],;:.])")
# A database's URI may hold blanks, so it is not sought in a text but must be all of it, or of an option's value.
_DATABASE = re.compile(r"((?:--[\w-]+=)?)((?!https?:)[A-Za-z][\w+.-]*)://(.+)", re.DOTALL)
# As in ODBC's and libpq's connection strings, which errors quote.
_SETTING = re.compile(
    r"\b(\w*password|passwd|passphrase|pwd|uid|\w*token|\w*secret|secret_?key|access_?key|api_?key)\s*=\s*"
    r"(?!\*\*\*)('[^']*'|\{(?:[^}]|\}\})*\}|[^\s&;]+)",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """A tracking URI, or a text with some in it, in the form that may be shown and stored.

    User names, passwords, fragments and all parameters that are not known to be harmless are taken out of URIs; what
    follows ``password=`` and the like elsewhere becomes ``***``.
    """
    whole = _DATABASE.fullmatch(text)
    if whole:
        return f"{whole[1]}{_clean(whole[2], whole[3])}"
    return _SETTING.sub(r"\1=***", _IN_TEXT.sub(lambda match: _clean(match[1], match[2]), text))


def require_host_and_port(uri: str) -> str:
    """Returns the tracking URI unchanged if its host and port, or its file's path, are well formed.

    SQLAlchemy and urllib quote a malformed port in their errors, and it may be a misplaced password.

    Raises:
        InputError: They are malformed; the message shows the URI without credentials.
    """
    scheme, _, rest = uri.partition("://")
    match = _SQLITE.fullmatch(uri)
    if match and "/" in match[3].partition("=")[0]:
        shown = f"sqlite:///{match[2]}%3F{match[3][1:]}"
        raise InputError(f"tracking URI: a question mark of a path is written %3F, as in {shown!r}")
    # Databricks has a key's prefix in the port's place.
    if scheme.startswith("databricks"):
        return uri
    host = re.split("[/?#]", _without_user(scheme, rest), maxsplit=1)[0]
    try:
        _ = urlsplit(f"//{host}").port
    except ValueError:
        shown = without_credentials(uri)
        raise InputError(
            f"tracking URI: {shown!r} is not allowed; between the account and the path it must name HOST or HOST:PORT, "
            "where PORT is a number up to 65535"
        ) from None
    return uri


def absolute(uri: str) -> str:
    """A tracking URI that means the same from every folder."""
    match = _SQLITE.fullmatch(uri)
    return database_uri(Path(unquote(match[2])).resolve()) + match[3] if match else uri


def database_file(uri: str) -> Path | None:
    """The file of an embedded database; None for servers and other databases."""
    match = _SQLITE.fullmatch(uri)
    return Path(unquote(match[2])) if match else None


def database_uri(file: Path) -> str:
    """The tracking URI of an embedded database."""
    path = str(file)
    quoted = path.translate(_QUOTED)
    # MLflow makes the folder that a URI with a plain ``sqlite`` names, and takes the path for unquoted there.
    return f"{'sqlite' if quoted == path else 'sqlite+pysqlite'}:///{quoted}"


def _clean(scheme: str, rest: str) -> str:
    place, _, query = _without_user(scheme, rest).partition("?")
    # In the name of a file it is a letter like others.
    if not scheme.startswith("sqlite"):
        place, query = place.partition("#")[0], query.partition("#")[0]
    host, slash, path = place.partition("/")
    # The part after a database's host may be a password without its ``@``; Databricks has a key's prefix there.
    if not scheme.startswith("databricks"):
        host = ",".join(one if _HOST.fullmatch(one) else one.partition(":")[0] for one in host.split(","))
    kept = "&".join(filter(_is_harmless, query.split("&")))
    return f"{scheme}://{host}{slash}{path}{'?' if kept else ''}{kept}"


def _without_user(scheme: str, rest: str) -> str:
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if scheme in ("http", "https") and "@" not in authority and _HOST.fullmatch(authority):
        return rest
    match = _USER.match(rest)
    if match is None:
        return rest
    place, mark, query = rest[match.end() :].partition("?")
    return f"{place.rpartition('@')[2]}{mark}{query}"


def _is_harmless(parameter: str) -> bool:
    key, _, value = parameter.partition("=")
    return unquote_plus(key).lower() in _HARMLESS and _PLAIN.fullmatch(unquote_plus(value)) is not None
