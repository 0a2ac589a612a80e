"""What a shell completes: names of studies and workloads, without the seconds of heavy imports."""

from __future__ import annotations

from phitune.cli.options import RUNS


def study_names(incomplete: str) -> list[str]:
    """Names of the studies below `RUNS`; where none fits, the shell completes files."""
    return sorted(path.parent.name for path in RUNS.glob("*/study.json") if path.parent.name.startswith(incomplete))


def workload_names(incomplete: str) -> list[str]:
    """Names of the built-in workloads, but those that stand for several."""
    from phitune.trainables.workloads.registry import names

    return [name for name in names() if name.startswith(incomplete) and "*" not in name]
