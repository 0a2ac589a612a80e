"""Nodes that see another file system than the driver: told before the first trial."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.ray_nodes import ray_cluster
from tests.wholeness import check_whole

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
