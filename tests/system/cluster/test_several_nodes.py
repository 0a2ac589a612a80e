"""A trial on several nodes: placed as one group, and resumed whole when a process or a machine of it dies."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.system.cluster.test_cluster_failures import SOON, finish, search
from tests.system.harness.clusters.nodes import ray_cluster
from tests.system.harness.searching import wait_for
from tests.system.test_function import PROCESSES, TOGETHER

STUDY = TOGETHER.replace("wait: 0.05", "processes: 1, wait: 0.05").replace("{cpu: 2}", "{cpu: 2, nodes: 2}")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["process", "machine"])
def test_a_trial_on_two_nodes_of_which_one_loses_a_process_or_its_power_is_resumed_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "together.py").write_text(PROCESSES, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    with ray_cluster(2, SOON) as cluster:
        node = cluster.add_node(2)
        process = search(tmp_path, cluster)
        first = trained(tmp_path, process, 1)
        places = {machine(each, (cluster.head, node)) for each in first}
        assert places == {cluster.head.pid, node.pid}, "the two were to be on different nodes"
        half_way = time.monotonic() + 2.0
        wait_for(lambda: time.monotonic() > half_way, process)
        if victim == "process":
            psutil.Process(first[1]).kill()
        else:
            cluster.kill(node)
            cluster.add_node(2)
        assert not set(trained(tmp_path, process, 2)) & set(first)
        finish(process, tmp_path)
    starts = [[int(line.split()[0]) for line in path.open()] for path in tmp_path.glob("runs/s/files/*/?.txt")]
    resumed = [each for each in starts if len(each) > 1]
    assert len(resumed) == 2 and resumed[0] == resumed[1] and resumed[0][-1] > 0


def trained(folder: Path, process: subprocess.Popen[str], tries: int) -> tuple[int, int]:
    """The processes of ranks 0 and 1 of the trial that has begun so often, once it has a checkpoint."""

    def begun() -> list[list[int]]:
        files = [path.read_text().splitlines() for path in sorted(folder.glob("runs/s/files/*/?.txt"))]
        return [[int(line.split()[1]) for line in lines] for lines in files if len(lines) >= tries]

    wait_for(lambda: len(begun()) >= 2 and any(folder.glob("runs/s/checkpoints/*.ckpt")), process)
    one, other = begun()[:2]
    return one[-1], other[-1]


def machine(pid: int, nodes: tuple[subprocess.Popen[bytes], ...]) -> int:
    """The node of a process."""
    ancestors = {each.pid for each in psutil.Process(pid).parents()}
    (found,) = (node.pid for node in nodes if node.pid in ancestors)
    return found
