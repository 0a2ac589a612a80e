"""A real MLflow server in place of the embedded database; it may go away for a while."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, Run, command, environment
from tests.system.harness.clusters.start import free_ports
from tests.system.harness.servers.mlflow import server

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("postgres")]

STUDY = """
name: s
workloads: [quadratic]
budgets: [400, 800]
families: [uba, linear]
trials: 20
replicates: 1
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URI of the database that holds the server's runs."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/server.db"
    return str(request.getfixturevalue("postgres_database"))


def test_a_server_that_goes_away_delays_and_loses_nothing(
    tmp_path: Path, phitune_in_process: Run, database: str
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    journal = tmp_path / "runs/s/trials.jsonl"
    port = free_ports(1)[0]
    with server(tmp_path, port, database) as uri:
        search = subprocess.Popen(
            command("search", "study.yaml", "--tracking-uri", uri),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
            assert search.poll() is None, search.communicate()
            time.sleep(0.05)
    with server(tmp_path, port, database) as uri:
        out, err = search.communicate(timeout=PATIENCE)
        again = phitune_in_process("search", "study.yaml", "--tracking-uri", uri, cwd=tmp_path)
        assert again.returncode == 0, out + err + again.stdout + again.stderr
        client = MlflowClient(tracking_uri=uri)
        runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=1000)
        ids = Counter(record.trial.trial_id for record in Journal(journal).records)
        assert len(ids) >= 42
        assert Counter(run.data.tags.get("phitune.trial_id") for run in runs) == {**ids, None: 1}
        assert "RUNNING" not in {run.info.status for run in runs}

        analysis = phitune_in_process("analyze", "s", cwd=tmp_path)
        assert analysis.returncode == 0, analysis.stderr
        parent = next(run for run in runs if run.data.tags["phitune.kind"] == "study")
        assert "report" in {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}


def test_a_bare_database_gets_no_password_and_artifacts_stay_with_the_study(
    tmp_path: Path, phitune: Run, postgres_database: str
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    uri = postgres_database.replace("postgres@", "postgres:pw-77ab@")
    search = phitune("search", "study.yaml", f"--tracking-uri={uri}", "--set", "trials=4", cwd=tmp_path)
    assert search.returncode == 0, search.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"study.yaml", "runs"}
    assert list((tmp_path / "runs/s/artifacts").rglob("study.yaml"))
    leaks = [path for path in tmp_path.rglob("*") if path.is_file() and b"pw-77ab" in path.read_bytes()]
    assert not leaks and "pw-77ab" not in search.stdout + search.stderr
