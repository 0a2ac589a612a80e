"""Killed or interrupted, the same command finishes the study, and no trial is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, Run
from tests.system.harness.searching import ended, family, kill, named, start, wait_for
from tests.system.harness.wholeness import check_whole

STUDY = """
name: s
workloads: [quadratic, {name: quadratic, kappa: 10}]
budgets: [2000, 4000]
families: [uba, linear]
trials: 12
replicates: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Processes that train; Ray names a process for what it is doing."""
    return named(process, "ray::TrialActor", "ray::ResourceTr")


def alive(process: subprocess.Popen[str], *programs: str) -> list[str]:
    """The command lines of the family that name one of the programs."""
    lines = []
    for member in family(process):
        with suppress(psutil.NoSuchProcess):
            lines.append(" ".join(member.cmdline()))
    return [line for line in lines if any(program in line for program in programs)]


def strike(process: subprocess.Popen[str], victim: str) -> None:
    """Kills everything, the driver, one of Ray's own processes, or a worker; everything if there is no such process.

    Everything at once is what a machine does that loses power.
    """
    everything = family(process)
    members = {"everything": everything, "driver": everything[:1], "worker": workers(process)[:1]}
    kill(*(members.get(victim) or named(process, victim)[:1] or everything))


def wait_for_more(folder: Path, more: int, process: subprocess.Popen[str]) -> None:
    """Waits until so many more trials have ended."""
    number = ended(folder) + more
    wait_for(lambda: ended(folder) >= number, process)


def end(process: subprocess.Popen[str], victim: str) -> None:
    """Waits for the end of a search after a strike; checks its last words if Ray has died."""
    out, err = process.communicate(timeout=PATIENCE)
    if victim in ("raylet", "gcs_server"):
        assert process.returncode == 1, out + err
        assert f"Ray's process {victim} died; nothing is lost" in out
        assert "Traceback" not in out + err


@pytest.mark.full
def test_killed_or_interrupted_whatever_it_is_the_same_command_finishes(folder: Path, phitune_in_process: Run) -> None:
    """All processes at once are killed in test_end_to_end, as by a machine that loses power."""
    process = start(folder)
    wait_for_more(folder, 1, process)
    second = phitune_in_process("search", "study.yaml", cwd=folder)
    assert second.returncode == 2
    assert "another process is at work" in second.stderr
    assert not alive(process, "dashboard.py", "monitor.py"), "of no use to a search"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert "To go on: phitune search study.yaml" in out

    for victim in ("raylet", "gcs_server", "driver"):
        process = start(folder)
        wait_for_more(folder, 3, process)
        strike(process, victim)
        end(process, victim)
    held = [record.trial for record in Journal(folder / "runs/s/trials.jsonl").records]

    # As batch schedulers do; Ray's processes end of it.
    process = start(folder)
    wait_for_more(folder, 3, process)
    os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert "Interrupted; nothing is lost" in out and "died" not in out + err

    # The loss of a worker costs nothing.
    process = start(folder)
    wait_for_more(folder, 3, process)
    wait_for(lambda: workers(process), process)[0].kill()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    records = check_whole(folder, retrain_every=3)
    assert [record.trial for record in records][: len(held)] == held


LONG = """
name: s
workloads: [quadratic, {name: quadratic, kappa: 10, momentum: 0.5}]
budgets: [3000, 20000]
families: [uba, linear]
trials: 80
replicates: 1
failures: {checkpoint_seconds: 0.1}
"""


@pytest.mark.slow
def test_killed_at_thirty_random_moments(tmp_path: Path, phitune: Run) -> None:
    (tmp_path / "study.yaml").write_text(LONG, encoding="utf-8")
    draw = random.Random(0)
    strikes, kept = 0, 0
    while strikes < 30:
        process = start(tmp_path)
        if draw.random() < 0.3:
            # Anywhere, the start included.
            time.sleep(draw.uniform(0, 10))
        else:
            more = draw.randint(1, 10)
            wait_for_more(tmp_path, more, process)
            time.sleep(draw.uniform(0, 0.5))
        if process.poll() is not None:
            out, err = process.communicate()
            assert "Traceback" not in out + err
            if process.returncode == 0:
                break
            # Ray did not start in its time.
            continue
        victim = draw.choice(["everything", "driver", "worker", "raylet", "gcs_server"])
        strike(process, victim)
        strikes += 1
        if victim == "worker":
            # The search goes on without it; the next blow hits the same search.
            time.sleep(draw.uniform(0, 5))
            strike(process, "everything")
            strikes += 1
        out, err = process.communicate(timeout=PATIENCE)
        kept += len(list(tmp_path.glob("runs/s/checkpoints/*.ckpt")))
        print(strikes, victim, process.returncode, ended(tmp_path), kept, out.splitlines()[-1:], err.splitlines()[-1:])
    assert strikes >= 30
    assert kept > 0
    search = phitune("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    check_whole(tmp_path, retrain_every=5)
