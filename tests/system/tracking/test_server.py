"""A real MLflow server in place of the embedded database; it may go away for a while."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, Run, command, environment
from tests.system.harness.clusters.start import free_ports
from tests.system.harness.servers.mlflow import server
from tests.system.harness.wholeness import check_runs

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("postgres")]

STUDY = """
name: s
workloads: [quadratic]
budgets: [400, 800]
families: [uba, linear]
trials: 10
replicates: 1
"""
PASSWORD = "pw-77ab"


def test_a_server_that_goes_away_delays_and_loses_nothing(tmp_path: Path, phitune_in_process: Run) -> None:
    """A server on PostgreSQL is in test_accounts."""
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    journal = tmp_path / "runs/s/trials.jsonl"
    port, database = free_ports(1)[0], f"sqlite:///{tmp_path}/server.db"
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
        records = Journal(journal).records
        assert len(records) >= 22
        check_runs(runs, records)

        analysis = phitune_in_process("analyze", "s", cwd=tmp_path)
        assert analysis.returncode == 0, analysis.stderr
        parent = next(run for run in runs if run.data.tags["phitune.kind"] == "study")
        assert "report" in {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}


def test_the_password_of_a_database_is_stored_nowhere(
    tmp_path: Path, phitune_on_one_ray: Run, postgres_database: str
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    scheme, _, rest = postgres_database.partition("://")
    user, _, place = rest.partition("@")
    said = ""
    for form in (f"{user}:{PASSWORD}@{place}", f"{place}?user={user}&password={PASSWORD}"):
        uri = f"--tracking-uri={scheme}://{form}"
        search = phitune_on_one_ray("search", "study.yaml", uri, "--set", "trials=4", cwd=tmp_path)
        assert search.returncode == 0, search.stderr
        assert {path.name for path in tmp_path.iterdir()} == {"study.yaml", "runs"}
        assert list((tmp_path / "runs/s/artifacts").rglob("study.yaml"))
        analysis = phitune_on_one_ray("analyze", "s", uri, cwd=tmp_path)
        assert analysis.returncode == 0, analysis.stderr
        assert list((tmp_path / "runs/s/artifacts").rglob("guidelines.json")), "the report is in MLflow"
        refused = phitune_on_one_ray("analyze", "no-such-study", uri, cwd=tmp_path)
        assert refused.returncode == 2
        said += "".join(run.stdout + run.stderr for run in (search, analysis, refused))
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
        assert PASSWORD not in _content(postgres_database)
        # The other form is to write everything anew.
        shutil.rmtree(tmp_path / "runs")
    assert PASSWORD not in said


def _content(database: str) -> str:
    """Every row of every table."""
    with psycopg.connect(database) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        rows = [connection.execute(f'select * from "{table}"').fetchall() for (table,) in tables]
    assert "phitune.kind" in str(rows)
    return str(rows)
