"""The CPUs that a process may use: fewer than the machine's with an affinity or a cgroup's quota."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phitune.trainables.cpus import usable_cpus

HERE = len(os.sched_getaffinity(0))


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {}, HERE),
        ("0::/job", {"job/cpu.max": "max 100000"}, HERE),
        ("0::/job", {"job/cpu.max": "100000 100000"}, 1),
        ("0::/job", {"job/cpu.max": "30000 100000"}, 1),
        ("0::/job", {"job/cpu.max": "90000000 100000"}, HERE),
        # A limit around it, as systemd's slices and Slurm's jobs have.
        ("0::/slice/job", {"slice/cpu.max": "150000 100000", "slice/job/cpu.max": "max 100000"}, 1),
        # Inside of a container that sees the host's path.
        ("0::/docker/abc", {"cpu.max": "100000 100000"}, 1),
        ("1:name=systemd:/\n0::/job", {"unified/job/cpu.max": "100000 100000"}, 1),
        # Version 1.
        ("3:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "100000", "cpu/job/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, HERE),
        ("3:memory:/job", {"memory/job/cpu.cfs_quota_us": "100000", "memory/job/cpu.cfs_period_us": "100000"}, HERE),
    ],
)
def test_quotas_of_cgroups_count(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    lay(tmp_path, {"own": own, **{f"mounted/{name}": text for name, text in files.items()}})
    assert usable_cpus(tmp_path / "own", tmp_path / "mounted") == expected


def test_the_affinity_counts() -> None:
    first = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{first}]); from phitune.trainables.cpus import usable_cpus as n; "
    shown = subprocess.run([sys.executable, "-c", program + "print(n())"], capture_output=True, text=True, check=True)
    assert shown.stdout == "1\n"
