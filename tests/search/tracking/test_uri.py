"""Tracking URIs, shown and stored without credentials."""

import pytest

from phitune.search.tracking import without_credentials


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://user:pw@host:5000/x", "http://host:5000/x"),
        ("http://token@host", "http://host"),
        ("postgresql+psycopg://u:p%40w@db:5432/m", "postgresql+psycopg://db:5432/m"),
        ("postgresql://u:a/b@c@db/m", "postgresql://db/m"),
        ("postgresql://db/m?password=x&sslmode=require", "postgresql://db/m?sslmode=require"),
        ("postgresql://db/m?user=u&password=x", "postgresql://db/m?user=u"),
        ("postgresql://db/m?Token=x", "postgresql://db/m"),
        ("--tracking-uri=http://user:pw@host", "--tracking-uri=http://host"),
        ("API request to http://u:p@h/api failed for u", "API request to http://h/api failed for u"),
    ],
)
def test_credentials_are_taken_out(given: str, shown: str) -> None:
    assert without_credentials(given) == shown


@pytest.mark.parametrize(
    "uri",
    ["sqlite:////home/a@b/m.db", "http://host:5000/a@b", "http://[::1]:5000", "runs/x?y", "trials=3", "databricks"],
)
def test_others_stay_as_they_are(uri: str) -> None:
    assert without_credentials(uri) == uri
