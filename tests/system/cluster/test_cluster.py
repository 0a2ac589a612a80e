"""The cluster file, checked by Ray's own schema; clusters that grow while they are searched on."""

import ast
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import yaml
from docker.utils.build import exclude_paths
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.cluster_utils import Cluster

from tests.conftest import PATIENCE, Run, command, environment
from tests.system.harness.clusters.autoscaling import Head, autoscaling_head

STUDY = """
name: growing
workloads: [mlp/digits]
budgets: [200, 400]
families: [uba, linear]
trials: 20
replicates: 1
"""


CLUSTERS = Path("docs/cluster")


@pytest.mark.parametrize("path", [Path("cluster.yaml"), CLUSTERS / "gcp.yaml", CLUSTERS / "on-premise.yaml"], ids=str)
def test_launch_files_are_valid_for_rays_launcher(path: Path) -> None:
    config = prepare_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    validate_config(config)
    assert any("make" in command and "install" in command for command in config["setup_commands"])
    workers = {name: each for name, each in config["available_node_types"].items() if name != config["head_node_type"]}
    if path.stem != "on-premise":
        assert {each["min_workers"] for each in workers.values()} == {0}, "nothing is paid for before it is used"


# The distributions that hold, or bring with them, what Ray imports for a cloud.
CLOUDS = {
    "aws": {"boto3": "boto3", "botocore": "boto3"},
    "gcp": {
        "google": "google-api-python-client",
        "google_auth_httplib2": "google-auth-httplib2",
        "googleapiclient": "google-api-python-client",
        "httplib2": "google-auth-httplib2",
    },
}


@pytest.mark.parametrize("path", [Path("cluster.yaml"), CLUSTERS / "gcp.yaml"], ids=str)
def test_the_head_installs_what_its_autoscaler_imports(path: Path) -> None:
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    cloud = written["provider"]["type"]
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {re.split("[<>=]", each)[0] for each in project["optional-dependencies"][cloud]}
    assert _foreign(Path(ray.__path__[0]) / "autoscaler/_private" / cloud) == set(CLOUDS[cloud])
    assert extra == set(CLOUDS[cloud].values())
    pins = Path("constraints.txt").read_text(encoding="utf-8").splitlines()
    assert extra <= {pin.partition("==")[0] for pin in pins}
    config = prepare_config(written)
    # Ray's own way into the system's Python, which newer ones refuse, is replaced.
    more = config["head_setup_commands"][len(written["setup_commands"]) :]
    assert [f"--constraint constraints.txt --editable '.[{cloud}]'" in each for each in more] == [True]


def _foreign(package: Path) -> set[str]:
    """Top-level modules that a package of Ray imports and that neither Python nor Ray brings."""
    modules = set()
    for module in package.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.partition(".")[0])
    return modules - sys.stdlib_module_names - {"ray", "packaging"}


@pytest.mark.parametrize("path", [Path("cluster.yaml"), CLUSTERS / "gcp.yaml", CLUSTERS / "on-premise.yaml"], ids=str)
def test_a_line_of_a_launch_file_gives_the_cluster_a_token(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("# ~/.ray/auth_token:", "~/.ray/auth_token:")
    config = prepare_config(yaml.safe_load(text))
    validate_config(config)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"

    def modes() -> set[str]:
        """Values of RAY_AUTH_MODE in the environment of `ray start`."""
        starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
        lines = [each.rpartition("ray start")[0] + 'echo "$RAY_AUTH_MODE"' for each in starts if "ray start" in each]
        assert len(lines) == 2
        env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return {subprocess.check_output(["bash", "-c", line], env=env, text=True).strip() for line in lines}

    assert modes() == {""}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").touch()
    assert modes() == {"token"}


def test_the_kuberay_job_starts_a_search_with_the_installed_ray(phitune_in_process: Run, tmp_path: Path) -> None:
    text = (CLUSTERS / "rayjob.yaml").read_text(encoding="utf-8")
    claim, job = yaml.safe_load_all(text.replace("# authOptions:", "authOptions:"))
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == ray.__version__
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for pod in (group["template"]["spec"] for group in groups):
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == names
        assert {"claimName": claim["metadata"]["name"]} in [v.get("persistentVolumeClaim") for v in pod["volumes"]]
    # Only the file is missing here: the line itself is one that phitune knows.
    refusal = phitune_in_process(*job["spec"]["entrypoint"].split()[1:], cwd=tmp_path)
    assert refusal.returncode == 2
    assert "study file: cannot read '/study/study.yaml'" in refusal.stderr


def test_the_image_is_made_of_the_checkout_without_what_was_installed_or_searched_in_it(tmp_path: Path) -> None:
    here = ["Makefile", "search/launch.py", "search/studies/quickstart.yaml", "docs/cluster/Dockerfile"]
    patterns = Path(".gitignore").read_text(encoding="utf-8").splitlines()
    left = [".git/HEAD", ".venv/.installed", "search/__pycache__/launch.pyc"]
    left += [f"{pattern.strip('/').replace('*', 'phitune')}/file" for pattern in patterns]
    for name in (*here, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ignored = (CLUSTERS / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    # Docker's own client.
    sent = exclude_paths(str(tmp_path), [line for line in ignored if not line.startswith("#")])
    assert {name for name in sent if (tmp_path / name).is_file()} == set(here)


def test_the_study_of_the_cluster_lacks_nothing_but_its_data(phitune_in_process: Run, tmp_path: Path) -> None:
    refusal = phitune_in_process("search", str((CLUSTERS / "cifar10.yaml").resolve()), "--dry-run", cwd=tmp_path)
    assert refusal.returncode == 2
    assert "no CIFAR10 in '/home/ubuntu/data'" in refusal.stderr


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with room for one trial."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


HALVES = """
name: halves
workloads: [{name: "watched:Watched", resources: {cpu: 1, gpu: 0.5}}]
budgets: [64]
families: [uba]
baselines: []
trials: 8
replicates: 1
"""

WATCHED = """
import os, time
from pathlib import Path
import ray
from phitune.trainables.workloads.exact import Quadratic


class Watched(Quadratic):
    def learner(self, optimizer, seed, horizon, device="cpu"):
        began = time.time()
        time.sleep(0.5)
        with Path(__file__).with_name("seen").open("a") as file:
            print(*ray.get_gpu_ids(), os.environ["CUDA_VISIBLE_DEVICES"], began, time.time(), file=file)
        return super().learner(optimizer, seed, horizon, device)
"""


@pytest.mark.full
def test_two_trials_at_a_time_share_a_gpu_by_halves(tmp_path: Path, phitune: Run, cluster: Cluster) -> None:
    """Only Ray knows of a GPU; the workload has no network to put there."""
    (tmp_path / "study.yaml").write_text(HALVES, encoding="utf-8")
    (tmp_path / "watched.py").write_text(WATCHED, encoding="utf-8")
    node = cluster.add_node(num_cpus=4, num_gpus=1)
    search = phitune("search", "study.yaml", "--address", cluster.address, cwd=tmp_path)
    cluster.remove_node(node)
    assert search.returncode == 0, search.stdout + search.stderr
    seen = [line.split() for line in (tmp_path / "seen").read_text(encoding="utf-8").splitlines()]
    assert {(gpu, visible) for gpu, visible, _, _ in seen} == {("0", "0")}
    spans = [(float(began), float(ended)) for *_, began, ended in seen]
    assert max(sum(one <= began < ended for one, ended in spans) for began, _ in spans) == 2, "of four CPUs"


@pytest.mark.full
def test_a_node_that_joins_is_used_and_the_death_of_one_is_survived(tmp_path: Path, cluster: Cluster) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    journal = tmp_path / "runs/growing/trials.jsonl"
    search = subprocess.Popen(
        command("search", "study.yaml", "--address", cluster.address),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def wait_for(trials: int) -> None:
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= trials):
            assert search.poll() is None, search.communicate()
            time.sleep(0.1)

    wait_for(2)
    node = cluster.add_node(num_cpus=2)
    wait_for(25)
    cluster.remove_node(node, allow_graceful=False)
    out, err = search.communicate(timeout=PATIENCE)
    assert search.returncode == 0, out + err
    assert "storage" not in out, "all nodes see the same"
    slots = re.search(r"s on ([0-9.]+) slots", out)
    assert slots and 1.2 < float(slots[1]) < 3, out
    assert " failed" not in out.splitlines()[-1]


MIXED = """
name: mixed
workloads: [quadratic, {name: mlp/digits, resources: {cpu: 2}}]
budgets: [64]
families: [uba, linear]
trials: 8
replicates: 1
"""


@pytest.fixture(scope="module")
def autoscaling() -> Iterator[Head]:
    """No room for trials, until the autoscaler brings nodes of 3 CPUs."""
    with autoscaling_head({"CPU": 3}, nodes=2) as head:
        yield head


@pytest.mark.slow
def test_trials_of_two_kinds_wait_for_the_autoscaler_and_finish(
    tmp_path: Path, autoscaling: Head, phitune: Run
) -> None:
    (tmp_path / "study.yaml").write_text(MIXED, encoding="utf-8")
    line = ("search", "study.yaml", "--address", autoscaling.address)
    refused = phitune(*line, "--set", "resources.cpu=4", cwd=tmp_path, **autoscaling.token)
    assert refused.returncode == 2
    assert "no autoscaler that starts a node with 4 CPUs" in refused.stderr
    assert not (tmp_path / "runs/mixed").exists()
    search = phitune(*line, cwd=tmp_path, **autoscaling.token)
    assert search.returncode == 0, search.stdout + search.stderr
    for kind in ("1 CPU", "2 CPUs"):
        assert re.search(rf"[0-9] trials wait for a node with {kind}", search.stdout), search.stdout
    slots = re.search(r"s on ([0-9.]+) slots", search.stdout)
    assert slots and float(slots[1]) > 2, "the first node alone has room for two"
    assert " failed" not in search.stdout.splitlines()[-1]
