"""A real search whose trials wait rather than compute: what it costs the driver that many are alive at once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from benchmarks import machine
from benchmarks.overhead.contenders.phitune_search import JOURNAL, search_command
from benchmarks.overhead.meter import metered
from benchmarks.overhead.scale import study_of

# Trials that would begin in a second if none were stopped early; the same however many are alive.
_RATE = 2.0
# The first fill the slots, and what is looked at is between the ends of the next ones and of the last.
_WAVES = 5
_CELLS = 10


def alive(count: int, timeout: float) -> dict[str, Any]:
    """Searches with so many trials alive at once, each a process, on one node.

    Trials take longer the more there are, so that as many end in a second, and what is seen is what the others cost.
    """
    trials = max(5 * _CELLS, _WAVES * count // _CELLS * _CELLS)
    study = study_of(trials, _CELLS)
    for workload in study["workloads"]:
        workload |= {"name": "benchmarks.scale.waiting:Waiting", "seconds": count / _RATE}
    # Processes are started two at a time: hundreds at once would be late for Ray.
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": count,
            "include_dashboard": False,
            "_system_config": {"worker_maximum_startup_concurrency": 2, "prestart_worker_first_driver": False},
        },
    )
    try:
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            folder = Path(name)
            journal = folder / JOURNAL

            def ended() -> int:
                return journal.read_bytes().count(b"\n") if journal.exists() else 0

            command = [*search_command(folder, study, []), "--address", cluster.address]
            run = metered(command, folder, machine.environment(), timeout, look=ended)
            text = (folder / "output.txt").read_text(encoding="utf-8")
    finally:
        cluster.shutdown()
    steady = [sample for sample in run.samples if 1.5 * count <= sample.note <= trials - 1.5 * count]
    if run.code or len(steady) < 2:
        raise SystemExit(f"{count} alive: exit code {run.code}\n{text[-2000:]}")
    first, last = steady[0], steady[-1]
    seconds, number = last.at - first.at, last.note - first.note
    row = {
        "alive": count,
        "trials": trials,
        "trials_a_second": round(number / seconds, 2),
        "driver_cpu_ms": round(1e3 * (last.cpu["driver"] - first.cpu["driver"]) / number, 1),
        "driver_mib": round(max(sample.driver_mib for sample in steady), 1),
    }
    print(row, text.splitlines()[-1], flush=True)
    return row
