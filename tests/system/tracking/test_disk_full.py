"""The disk under the tracking database is full: the study goes on, says so, and loses nothing."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, command, environment
from tests.system.harness.requirements import require_right
from tests.system.harness.wholeness import check_runs
from tests.system.tracking.test_server import STUDY

# A mount of one's own needs no privileges where user namespaces are allowed.
NAMESPACE = ["unshare", "--map-root-user", "--mount"]
SCRIPT = """
mkdir db && mount -t tmpfs -o size=24M tmpfs db || exit 99
{search} > first.txt 2>&1 &
until [ "$(cat runs/s/trials.jsonl 2>/dev/null | wc -l)" -ge 5 ]; do sleep 0.05; done
cat /dev/zero > db/filler 2>/dev/null
wait $!; echo "exit $?" >> first.txt
rm db/filler
{search} > second.txt 2>&1; echo "exit $?" >> second.txt
cp db/mlflow.db .
"""


@pytest.mark.full
def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    require_right([*NAMESPACE, "true"], "mount a small disk in a user namespace")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    search = shlex.join(command("search", "study.yaml", "--tracking-uri", "sqlite:///db/mlflow.db"))
    subprocess.run(
        [*NAMESPACE, "sh", "-c", SCRIPT.format(search=search)],
        cwd=tmp_path,
        env=environment(),
        timeout=PATIENCE,
        check=True,
        capture_output=True,
    )
    first, second = ((tmp_path / name).read_text(encoding="utf-8") for name in ("first.txt", "second.txt"))
    assert first.endswith("exit 1\n"), first
    assert "trials are not in MLflow yet; they are safe in" in first
    assert second.endswith("exit 0\n"), second
    records = Journal(tmp_path / "runs/s/trials.jsonl").records
    assert len(records) >= 22
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=1000)
    check_runs(runs, records)
