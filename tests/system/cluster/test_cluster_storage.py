"""Nodes that see another file system than the driver: told before the first trial. Storage that hangs."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Run
from tests.system.harness.ray_nodes import ray_cluster
from tests.system.harness.searching import ended, start, wait_for
from tests.system.harness.storage import hanging, mounted
from tests.system.harness.wholeness import check_whole

STUDY = """
name: s
workloads: [quadratic]
budgets: [20]
families: [linear]
trials: 3
replicates: 1
"""


def another_mount(kind: str, folder: Path) -> list[str]:
    """Starts the command that follows it where a folder is something else than here."""
    mount = {
        "read-only": f"mount --bind -o ro {shlex.quote(str(folder))} {shlex.quote(str(folder))}",
        "own": f"mount -t tmpfs none {shlex.quote(str(folder))}",
    }[kind]
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.parametrize("kind", ["read-only", "own"])
def test_a_node_that_has_no_part_in_the_storage_is_told(
    tmp_path: Path, phitune: Run, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    runs = tmp_path / "runs"
    runs.mkdir()
    within = another_mount(kind, runs)
    if sys.platform != "linux" or subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let this user mount anything")
    with ray_cluster(0) as cluster:
        # The way a user gives it.
        for key, value in cluster.token.items():
            monkeypatch.setenv(key, value)
        cluster.add_node(2, within)
        done = phitune("search", "study.yaml", "--address", cluster.address, cwd=tmp_path)
    checkpoints = runs / "s/checkpoints"
    if kind == "read-only":
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.strip()]
        assert f"--out: '{checkpoints}' cannot be written on the node " in line
        assert line.endswith("(Read-only file system)")
        assert not list(runs.rglob("s"))
        return
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if "shared storage" in line]
    assert said == [
        f"checkpoints of trials stay on their machines: {checkpoints} is not shared storage; "
        "a trial whose machine dies starts again"
    ]
    check_whole(tmp_path)


# Seconds; far longer than ten times those of a trial.
HELD_UP = 30
LONGER = """
name: s
workloads: [quadratic]
budgets: [4000, 8000]
families: [uba, linear]
trials: 16
replicates: 1
failures: {checkpoint_seconds: 0.1, hung_seconds: 8}
"""


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["everybody's", "the trials'"])
def test_no_trial_is_taken_for_hung_while_the_storage_hangs(tmp_path: Path, whose: str) -> None:
    (tmp_path / "study.yaml").write_text(LONGER, encoding="utf-8")
    checkpoints = tmp_path / "runs/s/checkpoints"
    checkpoints.mkdir(parents=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    seen_at = tmp_path / "runs" if whose == "everybody's" else checkpoints
    with mounted(disk), ray_cluster(0) as cluster:
        bound = ["mount", "--bind", str(disk), str(seen_at)]
        if whose == "everybody's":
            subprocess.run(bound, check=True)
        try:
            within = ["unshare", "--mount", "sh", "-c", f'{shlex.join(bound)} && exec "$@"', "sh"]
            node = cluster.add_node(4, within if whose == "the trials'" else ())
            process = start(tmp_path, "--address", cluster.address, **cluster.token)
            wait_for(lambda: ended(tmp_path) >= 6, process)
            at_work = set(trainers(node))
            with hanging(disk):
                then, end = ended(tmp_path), time.monotonic() + HELD_UP
                # Where the search has its own disk, trials go on without checkpoints.
                others_end = whose == "the trials'"
                wait_for(lambda: ended(tmp_path) >= then + 6 if others_end else time.monotonic() >= end, process)
            then = ended(tmp_path)
            wait_for(lambda: ended(tmp_path) >= then + 6, process)
            assert at_work and at_work <= set(trainers(node)), "a process was ended"
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, out + err
            check_whole(tmp_path, retrain_every=8)
        finally:
            if whose == "everybody's":
                subprocess.run(["umount", "--lazy", seen_at], check=True)


def trainers(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes of a node that train; Ray names a process for what it is doing."""
    found = psutil.Process(node.pid).children(recursive=True)
    return [one for one in found if one.name().startswith(("ray::TrialActor", "ray::ResourceTr"))]
