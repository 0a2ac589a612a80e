"""Kill, interrupt, go on: the same command finishes the study, and no trial is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from search.record import Journal
from tests.conftest import Run, command, environment

STUDY = """
name: s
workloads: [quadratic, {name: quadratic, kappa: 10}]
budgets: [1000, 2000]
families: [uba, linear]
trials: 12
replicates: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def ended(folder: Path) -> int:
    path = folder / "runs/s/trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("search", "study.yaml"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the search ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes in which trials are trained; Ray names a process for what it is doing."""
    names = ("ray::TrialActor", "ray::ResourceTr")
    return [p for p in psutil.Process(process.pid).children(recursive=True) if p.name().startswith(names)]


def kill_everything(process: subprocess.Popen[str]) -> None:
    """As a machine does that loses power: driver, raylet and workers at once."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=20)


def check(folder: Path) -> None:
    records = Journal(folder / "runs/s/trials.jsonl").records
    assert "failed" not in {record.status for record in records}
    ids = Counter(record.trial.trial_id for record in records)
    assert set(ids.values()) == {1}
    for cell in (
        "quadratic.sgd.1000",
        "quadratic.sgd.2000",
        "quadratic(kappa=10).sgd.1000",
        "quadratic(kappa=10).sgd.2000",
    ):
        explored = sorted(i for i in ids if i.startswith(f"{cell}/explore"))
        assert explored == [f"{cell}/explore-{number:04d}" for number in range(12)]
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/runs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=5000)
    assert Counter(run.data.tags.get("phitune.trial_id") for run in runs) == {**ids, None: 1}
    assert "RUNNING" not in {run.info.status for run in runs}


def test_killed_twice_the_same_command_finishes(folder: Path, phitune: Run) -> None:
    for more in (5, 20):
        before = ended(folder)
        process = start(folder)
        wait_for(lambda before=before, more=more: ended(folder) >= before + more, process)  # type: ignore[misc]
        kill_everything(process)
        process.communicate()
    held = [record.trial for record in Journal(folder / "runs/s/trials.jsonl").records]
    done = phitune("search", "study.yaml", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    check(folder)
    assert [record.trial for record in Journal(folder / "runs/s/trials.jsonl").records][: len(held)] == held


def test_ctrl_c_stops_cleanly_and_a_lost_worker_costs_nothing(folder: Path, phitune: Run) -> None:
    process = start(folder)
    wait_for(lambda: ended(folder) >= 4, process)
    second = phitune("search", "study.yaml", cwd=folder)
    assert second.returncode == 2
    assert "another process is at work" in second.stderr
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "To go on: phitune search study.yaml" in out

    process = start(folder)
    before = ended(folder)
    wait_for(lambda: ended(folder) >= before + 4 and bool(workers(process)), process)
    workers(process)[0].kill()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    check(folder)
