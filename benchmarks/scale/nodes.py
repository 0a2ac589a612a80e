"""A real search over several Ray nodes on this machine, each with two slots: the cost of a trial against the nodes."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from benchmarks import machine
from benchmarks.overhead.contenders.phitune_search import JOURNAL, search_command
from benchmarks.overhead.meter import metered
from benchmarks.overhead.scale import study_of

_SLOTS = 2
_CELLS = 20


def over_nodes(count: int, trials: int, timeout: float) -> dict[str, Any]:
    """Searches on so many nodes.

    The machine's cores do not become more: this shows what more nodes and slots cost the driver, not what they gain.
    """
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": _SLOTS, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(num_cpus=_SLOTS)
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            folder = Path(name)
            command = [*search_command(folder, study_of(trials, _CELLS), []), "--address", cluster.address]
            run = metered(command, folder, machine.environment(), timeout)
            text = (folder / "output.txt").read_text(encoding="utf-8")
            journal = folder / JOURNAL
            ended = journal.read_bytes().count(b"\n") if journal.exists() else 0
    finally:
        cluster.shutdown()
    summary = re.search(r"([0-9.]+) s on ([0-9.]+) slots, slots busy ([0-9]+) %", text)
    if run.code or summary is None:
        raise SystemExit(f"{count} nodes: exit code {run.code} after {ended} trials\n{text[-2000:]}")
    row = {
        "nodes": count,
        "slots": float(summary[2]),
        "trials": ended,
        "ms_a_trial": round(1e3 * float(summary[1]) / ended, 1),
        "driver_cpu_ms": round(1e3 * run.samples[-1].cpu["driver"] / ended, 1),
        "slots_busy_percent": int(summary[3]),
        "driver_mib": round(max(sample.driver_mib for sample in run.samples), 1),
    }
    print(row, flush=True)
    return row
