"""The CPUs that this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def usable_cpus(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs that this process may use: by its affinity, as of ``taskset`` or Slurm, and by the quotas of its cgroups.

    A quota that is no whole number is rounded down, as far as 1.

    Args:
        groups: Lists the process's cgroups.
        mounted: Where cgroups are mounted, those of version 1 in a folder for each controller.
    """
    # macOS has no affinity.
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min([affinity, *_quotas(groups, mounted)])))


def _quotas(groups: Path, mounted: Path) -> Iterator[float]:
    """The CPUs that each cgroup of the process, and each around it, may use; none for those without a limit."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Inside of a container the path may be the host's; of such only the mount itself is there.
        inner = Path(path.lstrip("/"))
        for folder in (inner, *inner.parents):
            for root in [mounted / controllers, mounted / "cpu"] if controllers else [mounted, mounted / "unified"]:
                with suppress(OSError, ValueError):
                    yield _quota(root / folder)


def _quota(folder: Path) -> float:
    """CPUs that a cgroup may use; raises `OSError` or `ValueError` if it has no limit."""
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    quota, period = ((folder / name).read_text(encoding="utf-8") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    if int(quota) < 0:
        raise ValueError("no limit")
    return int(quota) / int(period)
