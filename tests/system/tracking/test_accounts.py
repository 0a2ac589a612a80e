"""MLflow's server with accounts, on PostgreSQL: who may write which study, and that no password is stored."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from mlflow import MlflowClient

from phitune.analysis.results import find_study
from phitune.search.records.journal import Journal
from phitune.search.study.file import read_study
from phitune.search.tracking import facts_of
from phitune.search.tracking.store import Refused, Store
from phitune.trainables.errors import InputError
from tests.conftest import Run
from tests.system.harness.clusters.start import free_ports
from tests.system.harness.servers.mlflow import server
from tests.system.harness.wholeness import check_runs

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("postgres")]

STUDY = """
name: s
workloads: [quadratic]
budgets: [400]
families: [linear]
trials: 5
replicates: 1
"""
# As docs/how-to/cluster/mlflow-server.md has it.
ACCOUNTS = """
[mlflow]
default_permission = READ
database_uri = {}
auth_cache_ttl_seconds = 60
"""
ADMIN = ("admin", "pw-of-admin-11aa")
ANNA, BEN = ("anna", "pw-of-anna-77ab"), ("ben", "pw-of-ben-93cd")


def of(account: tuple[str, str]) -> dict[str, str]:
    """Environment variables of an account."""
    return {"MLFLOW_TRACKING_USERNAME": account[0], "MLFLOW_TRACKING_PASSWORD": account[1]}


@pytest.fixture
def uri(tmp_path: Path, postgres_database: str) -> Iterator[str]:
    """A server with accounts of Anna and Ben; only its owner may change a study."""
    settings = tmp_path / "accounts.ini"
    settings.write_text(ACCOUNTS.format(postgres_database), encoding="utf-8")
    secrets = {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "key-55ee",
    }
    with server(tmp_path, free_ports(1)[0], postgres_database, "--app-name", "basic-auth", **secrets) as uri:
        for name, password in (ANNA, BEN):
            account = {"username": name, "password": password}
            answer = requests.post(f"{uri}/api/2.0/mlflow/users/create", json=account, auth=ADMIN, timeout=60)
            assert answer.ok, answer.text
        with psycopg.connect(postgres_database) as connection:
            users = connection.execute("select username from users").fetchall()
        assert {name for (name,) in users} == {ADMIN[0], ANNA[0], BEN[0]}
        yield uri


def test_an_account_writes_its_study_and_its_password_is_nowhere(
    tmp_path: Path, phitune: Run, phitune_in_process: Run, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    search = ("search", "study.yaml", "--tracking-uri", uri)
    refused = phitune(*search, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert (
        refused.stderr.split()
        == (
            f"phitune: tracking URI: '{uri}' lets in only those with an account; export its MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD, or put them right"
        ).split()
    )
    assert not list(tmp_path.glob("runs/*"))

    finished = phitune(*search, cwd=tmp_path, **of(ANNA))
    assert finished.returncode == 0, finished.stderr
    analysis = phitune_in_process("analyze", "s", cwd=tmp_path, **of(ANNA))
    assert analysis.returncode == 0, analysis.stderr
    for key, value in of(ANNA).items():
        monkeypatch.setenv(key, value)
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
    check_runs(runs, Journal(tmp_path / "runs/s/trials.jsonl").records)

    output = "".join((refused.stderr, finished.stdout, finished.stderr, analysis.stdout, analysis.stderr))
    output += "".join(str(run.to_dictionary()) for run in runs)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (ANNA[1].encode(), base64.b64encode(":".join(ANNA).encode())):
        assert secret.decode() not in output
        assert not [content for content in files if secret in content]

    for key, value in of(BEN).items():
        monkeypatch.setenv(key, value)
    # Ben may read the study, not write it.
    assert find_study("s", uri).name == "s"
    facts = facts_of(read_study(tmp_path / "study.yaml"), "another", "elsewhere")
    with pytest.raises(Refused, match="does not let this account write the study"):
        Store(uri, facts, tmp_path / "elsewhere")
    for key in of(BEN):
        monkeypatch.delenv(key)
    with pytest.raises(InputError, match="lets in only those with an account"):
        find_study("s", uri)
