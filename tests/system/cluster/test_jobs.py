"""Studies as jobs of a real Ray cluster: its head, dashboard and job server, with token authentication."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, command
from tests.system.harness.clusters.head import TOKEN, Head, ray_head
from tests.system.harness.clusters.start import free_ports
from tests.system.harness.servers.gate import gate
from tests.system.harness.servers.mlflow import server
from tests.system.harness.shadowing import shadow
from tests.system.harness.wholeness import check_runs, check_whole

pytestmark = pytest.mark.full

PASSWORD, CLOUD = "tracking-pw-81c2f7", "cloud-key-0a94e3"
OWN = """
name: own
workloads: ["own_workload:Spirals"]
budgets: [20]
families: [uba]
baselines: []
trials: 3
replicates: 1
"""
LONG = """
name: s
workloads: [{name: quadratic, kappa: 10, noise: 1.0, dim: 60}]
budgets: [8000]
families: [uba]
baselines: []
trials: 30
replicates: 1
"""

GATED = """
name: s
workloads: ["gated:Gated"]
budgets: [400]
families: [uba]
baselines: []
trials: 12
replicates: 1
"""
WORKLOAD = '''
"""A workload whose trials, from the fifth on, wait until a file is gone, however slow the machine is."""

import time
from pathlib import Path

from phitune.trainables.workloads.exact import Quadratic

HOLD, JOURNAL = Path("{folder}/hold"), Path("{folder}/runs/s/trials.jsonl")


class Gated(Quadratic):
    def learner(self, optimizer, seed, horizon, device="cpu"):
        while HOLD.exists() and JOURNAL.exists() and JOURNAL.read_bytes().count(b"\\n") >= 4:
            time.sleep(0.05)
        return super().learner(optimizer, seed, horizon, device)
'''


@dataclass(frozen=True)
class Place:
    """A cluster whose environment names an MLflow server behind a password.

    Attributes:
        server: URI of the MLflow server, without the gate.
        store: Folder of the server's database and artifacts.
    """

    head: Head
    server: str
    gate_port: int
    store: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    store = tmp_path_factory.mktemp("store")
    with ExitStack() as stack:
        uri = stack.enter_context(server(store, free_ports(1)[0], f"sqlite:///{store}/server.db"))
        port = stack.enter_context(gate("user", PASSWORD, uri))
        head = {"MLFLOW_TRACKING_URI": f"http://user:{PASSWORD}@127.0.0.1:{port}", "AWS_SECRET_ACCESS_KEY": CLOUD}
        yield Place(stack.enter_context(ray_head(head)), uri, port, store)


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    """A working directory with a file in ``runs`` that must not be sent."""
    folder = tmp_path / "laptop"
    (folder / "runs").mkdir(parents=True)
    (folder / "runs/unsent").write_text("x", encoding="utf-8")
    return folder


def on(head: Head, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``phitune ARGUMENTS --address DASHBOARD`` on the laptop."""
    line = command(*arguments, "--address", head.dashboard)
    return subprocess.run(
        line, cwd=folder, env={**head.env, **env}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_a_submitted_study_is_searched_there_and_no_secret_is_stored(place: Place, laptop: Path) -> None:
    head = place.head
    shadow(laptop)
    workload = Path("examples/10_own_class.py").read_text(encoding="utf-8")
    (laptop / "own_workload.py").write_text(f"import analysis\n{workload}\nassert analysis.KAPPA", encoding="utf-8")
    study = laptop.parent / "own.yaml"
    study.write_text(OWN, encoding="utf-8")
    search = on(head, laptop, "submit", "../own.yaml", "--set", "trials=4")
    assert search.returncode == 0, search.stdout + search.stderr
    out = head.home / "phitune-runs/own"
    records = Journal(out / "trials.jsonl").records
    assert {record.status for record in records} <= {"completed", "stopped", "diverged"}
    assert sum(record.trial.phase == "explore" for record in records) == 4
    client = MlflowClient(tracking_uri=place.server)
    runs = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    check_runs(runs, records)
    described = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert described["tracking_uri"] == f"http://127.0.0.1:{place.gate_port}"
    packages = list(head.temp.glob("r/session_*/runtime_resources/working_dir_files/*/own_workload.py"))
    assert packages and not list(packages[0].parent.glob("runs"))

    request = urllib.request.Request(f"{head.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
    texts = {"output": (search.stdout + search.stderr).encode(), "jobs": urllib.request.urlopen(request).read()}
    # Ray's logs hold what the job printed, its package the study that was sent.
    for folder in (out, head.temp / "r", place.store):
        texts |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(path.endswith("server.db") for path in texts) and len(texts) > 30
    leaks = [(place, secret) for place, text in texts.items() for secret in SECRETS if secret.encode() in text]
    assert not leaks


SECRETS = (PASSWORD, CLOUD, TOKEN)


def test_a_job_is_followed_left_stopped_and_goes_on(
    place: Place, laptop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = place.head
    (laptop / "study.yaml").write_text(GATED, encoding="utf-8")
    (laptop / "gated.py").write_text(WORKLOAD.format(folder=laptop), encoding="utf-8")
    (laptop / "hold").touch()
    out, database = laptop / "runs/s", f"sqlite:///{laptop}/runs/mlflow.db"
    line = ("submit", "study.yaml", "--out", str(out), "--tracking-uri", database)
    submitted = on(head, laptop, *line, "--no-wait")
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.split()[1].rstrip(":")
    second = on(head, laptop, *line)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert f"job {job} is at work on 's'" in second.stderr
    listed = on(head, laptop, "status")
    assert [row.split()[1:3] for row in listed.stdout.splitlines() if row.startswith(job)] in (
        [["s", "PENDING"]],
        [["s", "RUNNING"]],
    )

    follower = subprocess.Popen(
        command("status", job, "--follow", "--address", head.dashboard),
        cwd=laptop,
        env=head.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert any("starting" in line for line in follower.stdout)
    follower.send_signal(signal.SIGINT)
    out_text, err = follower.communicate(timeout=PATIENCE)
    assert (follower.returncode, err) == (130, "")
    assert f"Job {job} goes on. Follow it: phitune status {job} --follow" in out_text

    while len(Journal(out / "trials.jsonl").records) < 4:
        time.sleep(0.1)
    stopped = on(head, laptop, "stop", job)
    assert stopped.returncode == 0, stopped.stderr
    assert f"Job {job} was stopped; nothing is lost. To go on: phitune submit study.yaml" in stopped.stdout
    ended = {record.trial.trial_id for record in Journal(out / "trials.jsonl").records}
    client = MlflowClient(tracking_uri=database)
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=5000)
    complete = {run.data.tags.get("phitune.trial_id") for run in runs if "phitune.status" in run.data.tags}
    assert complete == ended
    assert {run.info.status for run in runs if run.data.tags["phitune.kind"] == "study"} == {"KILLED"}

    shown = on(head, laptop, "status", job)
    assert "STOPPED" in shown.stdout and "Interrupted; nothing is lost. To go on: phitune submit" in shown.stdout
    (laptop / "hold").unlink()
    again = on(head, laptop, *line)
    assert again.returncode == 0, again.stdout + again.stderr
    monkeypatch.syspath_prepend(laptop)
    assert len(check_whole(laptop, retrain_every=5)) > len(ended)


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        ("submit study.yaml", {"RAY_AUTH_MODE": "disabled"}, "wants a token, and none was sent; set RAY_AUTH_MODE"),
        (
            "status",
            {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/none"},
            "wants a token, and there is none (RAY_AUTH",
        ),
        ("stop job-1", {"RAY_AUTH_TOKEN": "wrong"}, "does not take the token; RAY_AUTH_TOKEN"),
        ("stop job-1", {}, "JOB: 'job-1' is not there"),
        ("submit study.yaml --set trials=0", {}, "trials: 0 is not allowed"),
    ],
)
def test_one_line_and_exit_code_2(
    place: Place, laptop: Path, arguments: str, env: dict[str, str], message: str
) -> None:
    (laptop / "study.yaml").write_text(LONG, encoding="utf-8")
    refusal = on(place.head, laptop, *arguments.split(), **env)
    assert (refusal.returncode, refusal.stderr.count("\n")) == (2, 1), refusal.stdout + refusal.stderr
    assert message in refusal.stderr and not refusal.stdout


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "wants a token, and none was sent"),
        ({"RAY_AUTH_TOKEN": "wrong"}, "does not take the token"),
    ],
)
def test_a_driver_without_the_token_gets_one_line(
    place: Place, laptop: Path, env: dict[str, str], message: str
) -> None:
    (laptop / "study.yaml").write_text(LONG, encoding="utf-8")
    line = command("search", "study.yaml", "--address", place.head.gcs)
    refusal = subprocess.run(
        line, cwd=laptop, env={**place.head.env, **env}, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (refusal.returncode, refusal.stderr.count("\n")) == (2, 1), refusal.stderr
    assert message in refusal.stderr
    assert os.listdir(laptop / "runs") == ["unsent"]


# Last: it changes the cluster.
def test_a_driver_of_another_version_gets_one_line_before_anything_starts(place: Place, laptop: Path) -> None:
    (laptop / "study.yaml").write_text(LONG, encoding="utf-8")
    subprocess.run([*command()[:1], "-c", _REWRITE, place.head.gcs], env=place.head.env, check=True)
    line = command("search", "study.yaml", "--address", place.head.gcs)
    refusal = subprocess.run(line, cwd=laptop, env=place.head.env, capture_output=True, text=True, timeout=PATIENCE)
    assert (refusal.returncode, refusal.stderr.count("\n")) == (2, 1), refusal.stderr
    assert f"the cluster at '{place.head.gcs}' has Ray 1.0.0 and Python 3.8.1, here is Ray" in refusal.stderr
    assert os.listdir(laptop / "runs") == ["unsent"]


# Replaces the versions that the head has written by those of another.
_REWRITE = """
import json, sys
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._raylet import GcsClient
client = GcsClient(sys.argv[1])
written = json.loads(client.internal_kv_get(CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER))
changed = json.dumps({**written, "ray_version": "1.0.0", "python_version": "3.8.1"})
client.internal_kv_put(CLUSTER_METADATA_KEY, changed.encode(), True, KV_NAMESPACE_CLUSTER)
"""
