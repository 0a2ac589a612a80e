"""Nodes that see another file system than the driver: named before the first trial. Storage that hangs."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE, Run
from tests.system.harness.clusters.nodes import Cluster, ray_cluster
from tests.system.harness.requirements import require_right
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
    """Command line that runs the one appended to it where another file system covers a folder."""
    mount = {
        "read-only": f"mount --bind -o ro {shlex.quote(str(folder))} {shlex.quote(str(folder))}",
        "own": f"mount -t tmpfs none {shlex.quote(str(folder))}",
    }[kind]
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without room for trials."""
    with ray_cluster(0) as cluster:
        yield cluster


@pytest.mark.full
@pytest.mark.parametrize("kind", ["read-only", "own"])
def test_a_node_that_does_not_share_the_storage_is_named(
    tmp_path: Path, phitune: Run, kind: str, cluster: Cluster
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    runs = tmp_path / "runs"
    runs.mkdir()
    within = another_mount(kind, runs)
    require_right([*within, "true"], "mount anything")
    node = cluster.add_node(2, within)
    search = phitune("search", "study.yaml", "--address", cluster.address, cwd=tmp_path, **cluster.token)
    cluster.remove_node(node)
    checkpoints = runs / "s/checkpoints"
    if kind == "read-only":
        assert search.returncode == 2, search.stdout + search.stderr
        (line,) = [line for line in search.stderr.splitlines() if line.strip()]
        assert f"--out: '{checkpoints}' cannot be written on the node " in line
        assert line.endswith("(Read-only file system)")
        assert not list(runs.rglob("s"))
        return
    assert search.returncode == 0, search.stdout + search.stderr
    notes = [line for line in search.stdout.splitlines() if "shared storage" in line]
    assert notes == [
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
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, out + err
            check_whole(tmp_path, retrain_every=8)
        finally:
            if whose == "everybody's":
                subprocess.run(["umount", "--lazy", seen_at], check=True)


def trainers(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Processes of a node that train; Ray names a process for what it is doing."""
    processes = psutil.Process(node.pid).children(recursive=True)
    return [process for process in processes if process.name().startswith(("ray::TrialActor", "ray::ResourceTr"))]
