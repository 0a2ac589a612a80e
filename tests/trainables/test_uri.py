"""Tracking URIs, shown and stored without credentials."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from phitune.trainables.errors import InputError
from phitune.trainables.uri import absolute, database_file, database_uri, require_host_and_port, without_credentials

ODBC = "Driver={ODBC Driver 18};Server=db;UID=me;PWD={s3cret;x}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:s3cret@host:5000/x", "http://host:5000/x"),
        ("https://user@host", "https://host"),
        ("https://:s3cret@host", "https://host"),
        ("https://s3cret:@host/path", "https://host/path"),
        ("https://u%40corp:s3%2Fcr%40et@host", "https://host"),
        ("https://u@corp:s3cret@host", "https://host"),
        ("https://u:a/s3cret@host/x", "https://host/x"),
        ("https://u:s3cret", "https://u"),
        ("https://u:p@[::1]:5000/x", "https://[::1]:5000/x"),
        ("http://host/x?api_key=s3cret", "http://host/x"),
        ("http://host/x?access_token=s3cret&token=s3cret", "http://host/x"),
        ("http://host/#token=s3cret", "http://host/"),
        ("postgresql+psycopg://u:p%40w@db:5432/m", "postgresql+psycopg://db:5432/m"),
        ("postgresql+asyncpg://u@corp:s3cret@db/m", "postgresql+asyncpg://db/m"),
        ("postgresql://u:a/b@c@db/m", "postgresql://db/m"),
        ("postgresql://u:5432/s3cret@db/m", "postgresql://db/m"),
        ("postgresql://u:s3?cr#et@db/m", "postgresql://db/m"),
        ("postgresql://u:s3 cret@db/m", "postgresql://db/m"),
        ("postgresql://u:p@db1:5432,db2:5433/m", "postgresql://db1:5432,db2:5433/m"),
        ("postgresql://db/m?password=s3cret&sslmode=require", "postgresql://db/m?sslmode=require"),
        ("postgresql://db/m?user=u&password=s3cret", "postgresql://db/m"),
        ("postgresql://db/m?PassWord=s3cret", "postgresql://db/m"),
        ("postgresql://db/m?pass%77ord=s3cret", "postgresql://db/m"),
        ("postgresql://db/m?password=s3cret&password=s3cret", "postgresql://db/m"),
        ("postgresql://db/m?sslkey=/home/u/key.pem&sslpassword=s3cret", "postgresql://db/m"),
        ("postgresql:///m?host=/run/pg&passfile=/home/u/.pgpass", "postgresql:///m?host=/run/pg"),
        ("postgresql:///m?host=u:s3cret@db", "postgresql:///m"),
        ("postgresql://db/m?options=-csearch_path%3Dmlflow", "postgresql://db/m?options=-csearch_path%3Dmlflow"),
        ("postgresql://db/m?options=-c%20app.key%3Ds3cret", "postgresql://db/m"),
        ("mysql+pymysql://u:s3cret@db/m?passwd=s3cret&charset=utf8mb4", "mysql+pymysql://db/m?charset=utf8mb4"),
        ("mysql+mysqldb://db/m?read_default_file=/home/u/.my.cnf&ssl_key=k", "mysql+mysqldb://db/m"),
        (f"mssql+pyodbc:///?odbc_connect={quote_plus(ODBC)}", "mssql+pyodbc:///"),
        (
            "mssql+pyodbc://u:s3cret@db/m?driver=ODBC+Driver+18+for+SQL+Server&UID=u&PWD=s3cret",
            "mssql+pyodbc://db/m?driver=ODBC+Driver+18+for+SQL+Server",
        ),
        ("mssql+pyodbc://db/m?driver=SQL%3BPWD%3Ds3cret", "mssql+pyodbc://db/m"),
        ("mssql+pyodbc://db/m?authentication=ActiveDirectoryPassword&accesstoken=s3cret", "mssql+pyodbc://db/m"),
        ("oracle+oracledb://u:s3cret@db/?wallet_location=w&wallet_password=s3cret", "oracle+oracledb://db/"),
        ("bigquery://project/m?credentials_path=/home/u/s3cret.json", "bigquery://project/m"),
        ("sqlite+pysqlcipher://:s3cret@//home/a/m.db?cipher=aes", "sqlite+pysqlcipher:////home/a/m.db"),
        ("sqlite:////ho me/m.db?timeout=30&key=s3cret", "sqlite:////ho me/m.db?timeout=30"),
        ("databricks://s3cret@profile", "databricks://profile"),
        ("--tracking-uri=http://user:s3cret@host", "--tracking-uri=http://host"),
        ("--tracking-uri=postgresql://u:s3 cret@db/m", "--tracking-uri=postgresql://db/m"),
        ("request to http://u:s3cret@h/api failed for u", "request to http://h/api failed for u"),
        ("(at 'postgresql://u:p@h/d?password=s3cret', x)", "(at 'postgresql://h/d', x)"),
        (ODBC, "Driver={ODBC Driver 18};Server=db;UID=***;PWD=***"),
        ("connection to dbname=m password='s3 cret' failed", "connection to dbname=m password=*** failed"),
    ],
)
def test_credentials_are_taken_out(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown
    assert without_credentials(shown) == shown
    assert "s3" not in shown


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:////home/a@b/m.db",
        "sqlite:////home/c#/m.db",
        "sqlite:///m.db?mode=ro&uri=true",
        "http://host:5000/a@b",
        "http://[::1]:5000",
        "https://host.example/mlflow/",
        "postgresql://db:5432/mlflow",
        "databricks",
        "databricks://profile",
        "databricks://scope:prefix",
        "file:///home/a@b/mlruns",
        "runs/x?y",
        "trials=3",
        "no cluster (http://127.0.0.1:8265/x): refused",
    ],
)
def test_others_stay_as_they_are(uri: str) -> None:
    assert without_credentials(uri) == uri


SECRETS = st.text(string.ascii_letters + string.digits + string.punctuation + " é", min_size=1, max_size=20)
DRIVERS = st.sampled_from(["postgresql", "postgresql+psycopg", "mysql+pymysql", "mssql+pyodbc", "oracle", "https"])


@given(DRIVERS, SECRETS, SECRETS, SECRETS)
def test_sqlalchemy_finds_no_credentials_in_what_is_shown(
    driver: str, user: str, password: str, parameter: str
) -> None:
    uri = f"{driver}://{quote(user, safe='')}:{quote(password, safe='')}@db:5432/m?{quote_plus(parameter)}=s3cret"
    shown = make_url(without_credentials(f"{uri}&password={quote_plus(password)}&sslmode=require"))
    assert (shown.username, shown.password, shown.host, shown.port, shown.database) == (None, None, "db", 5432, "m")
    assert "s3cret" not in shown.query.values() or parameter.lower() in ("ssl", "tls", "host", "port", "mode")


@given(SECRETS.filter(lambda text: "@" not in text))
def test_a_password_that_sqlalchemy_takes_raw_is_taken_out(password: str) -> None:
    uri = f"postgresql://me:{password}@db/m"
    assert make_url(uri).password is not None
    assert without_credentials(uri) == "postgresql://db/m"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:host:s3cret", "postgresql://user"),
        ("postgresql://host:s3cret/m", "postgresql://host/m"),
        ("postgresql://user@host:s3cret/m", "postgresql://host/m"),
        ("postgresql+psycopg://user:p@db:s3cret@db:s3cret?sslmode=require", "postgresql+psycopg://db?sslmode=require"),
        ("mysql://user:p:q@db:s3cret/m", "mysql://db/m"),
        ("http://host:s3cret/x", "http://host/x"),
        ("https://host:70000", "https://host:70000"),
        ("http://[::1/x", "http://[/x"),
    ],
)
def test_a_malformed_port_is_refused_and_not_shown(uri: str, shown: str) -> None:
    with pytest.raises(InputError) as error:
        require_host_and_port(uri)
    assert f"tracking URI: {shown!r} is not allowed; " in str(error.value)
    assert "s3cret" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        *("http://[::1]:5000", "https://u:a/b@host.example/mlflow/", "http://127.0.0.1:9"),
        *("postgresql://u:p:q@db:5432/m", "postgresql://u:s3?cr#et@db/m", "postgresql:///m?host=/run/pg"),
        *("mssql+pyodbc:///?odbc_connect=x", "sqlite:////home/a:b/c@d.db", "sqlite+pysqlcipher://:k@//home/m.db"),
        *("databricks://scope:prefix", "databricks", "file:///home/a@b/mlruns", "runs/x?y"),
    ],
)
def test_a_well_formed_uri_is_returned_unchanged(uri: str) -> None:
    assert require_host_and_port(uri) == uri


def test_a_database_file_has_an_absolute_path_and_keeps_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///runs/m.db?timeout=30") == f"sqlite:///{tmp_path}/runs/m.db?timeout=30"
    assert database_file("sqlite:///runs/m.db?timeout=30") == Path("runs/m.db")
    assert absolute("postgresql://db/m") == "postgresql://db/m"


@given(st.text("ab %?#&=+:/@.é", min_size=1).filter(lambda path: "://" not in path))
def test_sqlalchemy_opens_the_file_that_a_database_uri_names(path: str) -> None:
    file = Path("/f", path)
    uri = database_uri(file)
    assert make_url(uri).database == str(file)
    assert database_file(uri) == file
    assert require_host_and_port(without_credentials(uri)) == uri


def test_a_question_mark_in_a_database_s_path_is_refused_with_how_to_write_it() -> None:
    with pytest.raises(InputError, match=r"as in 'sqlite:////home/a%3Fb/m.db\?timeout=3'"):
        require_host_and_port("sqlite:////home/a?b/m.db?timeout=3")
