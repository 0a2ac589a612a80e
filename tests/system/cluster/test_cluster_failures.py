"""A cluster's machines die, freeze, leave or lose their storage: the study comes out as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, environment
from tests.system.harness.clusters.nodes import Cluster, ray_cluster
from tests.system.harness.searching import ended, start, wait_for
from tests.system.harness.wholeness import check_whole

pytestmark = pytest.mark.full

STUDY = """
name: s
workloads: [quadratic]
budgets: [1000, 2000]
families: [uba, linear]
trials: 12
replicates: 1
"""


def search(folder: Path, cluster: Cluster) -> subprocess.Popen[str]:
    return start(folder, "--address", cluster.address, **cluster.token)


def test_a_head_that_is_killed_and_started_again_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    with ray_cluster(2) as cluster:
        first = search(tmp_path, cluster)
        wait_for(lambda: ended(tmp_path) >= 5, first)
        cluster.kill(cluster.head)
        out, err = first.communicate(timeout=PATIENCE)
        assert first.returncode == 1, out + err
        assert "Traceback" not in out + err
        (line,) = [line for line in out.splitlines() if "the same command goes on" in line]
        assert f"the Ray cluster's head at {cluster.address} is gone" in line
        held = [record.trial for record in Journal(tmp_path / "runs/s/trials.jsonl").records]
        assert 5 <= len(held) < 26

        cluster.start_head()
        second = search(tmp_path, cluster)
        out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, out + err
    records = check_whole(tmp_path, retrain_every=5)
    assert [record.trial for record in records][: len(held)] == held


# The search must outlast the waits of these tests, up to 20 s: with a sixth of the budgets two quiet cores need 14 s.
LONG = """
name: s
workloads: [quadratic]
budgets: [120000, 240000]
families: [uba, linear]
trials: 16
replicates: 1
failures: {checkpoint_seconds: 0.1}
"""
# A node counts as dead after some three seconds of silence; with Ray's defaults, after twenty.
SOON = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[tuple[Cluster, subprocess.Popen[str], subprocess.Popen[bytes]]]:
    """A search on a head of one CPU, and a node of two CPUs on which two of its trials run."""
    (tmp_path / "study.yaml").write_text(LONG, encoding="utf-8")
    with ray_cluster(1, SOON) as cluster:
        process = search(tmp_path, cluster)
        # The driver talks to Ray on the node that was there when it came.
        wait_for(lambda: ended(tmp_path) >= 1, process)
        node = cluster.add_node(2)
        wait_for(lambda: len(trials_on(node)) == 2, process)
        yield cluster, process, node
        process.kill()


def trials_on(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Processes of a node that train; Ray names a process for what it is doing."""
    processes = psutil.Process(node.pid).children(recursive=True)
    return [process for process in processes if process.name().startswith(("ray::TrialActor", "ray::ResourceTr"))]


def node_id(cluster: Cluster) -> str:
    """Id of the node that is not the head."""
    return next(id for id, node in cluster.nodes().items() if node["CPU"] == 2)


def finish(process: subprocess.Popen[str], folder: Path) -> None:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    check_whole(folder, retrain_every=8)


@pytest.mark.slow
def test_a_node_that_freezes_and_wakes_up_again_doubles_nothing(
    tmp_path: Path, grown: tuple[Cluster, subprocess.Popen[str], subprocess.Popen[bytes]]
) -> None:
    cluster, process, node = grown
    wait_for(lambda: bool(list(tmp_path.glob("runs/s/checkpoints/*.ckpt"))), process)
    frozen = psutil.Process(node.pid).children(recursive=True)
    for one in frozen:
        one.suspend()
    lost = node_id(cluster)
    wait_for(lambda: not cluster.nodes()[lost]["alive"], process)
    before = ended(tmp_path)
    wait_for(lambda: ended(tmp_path) >= before + 5, process)
    for one in frozen:
        one.resume()
    finish(process, tmp_path)


@pytest.mark.slow
def test_a_spot_node_that_is_taken_away_with_notice_costs_no_trial(
    tmp_path: Path, grown: tuple[Cluster, subprocess.Popen[str], subprocess.Popen[bytes]]
) -> None:
    cluster, process, node = grown
    cluster.drain(node_id(cluster), 10)
    end = time.monotonic() + 10
    wait_for(lambda: time.monotonic() >= end, process)
    cluster.kill(node)
    assert process.poll() is None
    finish(process, tmp_path)


OCCUPIED = """
import sys, time, ray
ray.init(address=sys.argv[1])

@ray.remote(num_cpus=0.5)
class Other:
    def begin(self): ...

other = Other.options(label_selector={"ray.io/node-id": sys.argv[2]}).remote()
ray.get(other.begin.remote())
print("begun", flush=True)
time.sleep(1000)
"""


@pytest.mark.slow
def test_a_node_that_is_about_to_leave_has_room_only_for_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    with ray_cluster(1) as cluster:
        cluster.add_node(2)
        # Ray ends a node that it drains and that has nothing to do.
        other = subprocess.Popen(
            [sys.executable, "-c", OCCUPIED, cluster.address, node_id(cluster)],
            env=environment(**cluster.token),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout and other.stdout.readline() == "begun\n"
        cluster.drain(node_id(cluster), 300)
        out, err = (process := search(tmp_path, cluster)).communicate(timeout=PATIENCE)
        other.kill()
    assert process.returncode == 0, out + err
    assert " s on 1 slots" in out
    check_whole(tmp_path, retrain_every=5)


@pytest.mark.slow
def test_storage_that_is_away_for_a_while_costs_only_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(LONG, encoding="utf-8")
    checkpoints = tmp_path / "runs/s/checkpoints"
    with ray_cluster(2) as cluster:
        process = search(tmp_path, cluster)
        wait_for(lambda: bool(list(checkpoints.glob("*.ckpt"))), process)
        checkpoints.rename(tmp_path / "away")
        # What cannot be written to.
        checkpoints.touch()
        end, then = time.monotonic() + 20, ended(tmp_path)
        wait_for(lambda: time.monotonic() >= end and ended(tmp_path) >= then + 2, process)
        checkpoints.unlink()
        (tmp_path / "away").rename(checkpoints)
        before = list(checkpoints.glob("*.ckpt"))
        wait_for(lambda: bool(set(checkpoints.glob("*.ckpt")) - set(before)), process)
        finish(process, tmp_path)
