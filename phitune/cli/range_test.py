"""What `phitune search --range-test` says at its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def print_ranges(out: Path, tracking_uri: str, study_file: Path, overrides: Sequence[str], console: Console) -> None:
    """For each workload and optimizer the constant LR with the lowest loss, and the range of base LRs to search.

    Args:
        out: Output directory of the range test.
        tracking_uri: Where it was logged.
        study_file: The study whose workloads were tested.
        overrides: Its ``KEY=VALUE``.
        console: Where to print.
    """
    from phitune.analysis.answers.numbers import number
    from phitune.analysis.results import find_study, load
    from phitune.analysis.surface.fit import fit_cell
    from phitune.search.study.range_test import ITERATIONS, TRIED, searched

    table = load(find_study(str(out), tracking_uri))
    ranges = []
    for (workload, optimizer), trials in table.groupby(["workload", "optimizer"], sort=False):
        best = fit_cell(trials).bests.get("constant")
        ends = None if best is None else searched(best.base_lr)
        if best is None or ends is None:
            tried = f"between {TRIED[0]:g} and {TRIED[1]:g}"
            console.print(f"{workload} with {optimizer}: no constant LR {tried} has the lowest loss.", soft_wrap=True)
            continue
        low, high = best.base_lr_interval
        ranges.append(ends)
        console.print(
            f"{workload} with {optimizer}: after {ITERATIONS} iterations the best constant LR is "
            f"{number(best.base_lr)} (90 %: {number(low)} to {number(high)})\n  base_lr: [{ends[0]:g}, {ends[1]:g}]",
            soft_wrap=True,
        )
    if len(ranges) == 1:
        changes = [*overrides, f"space.base_lr=[{ranges[0][0]:g},{ranges[0][1]:g}]"]
        line = ["phitune", "search", str(study_file), *(part for each in changes for part in ("--set", each))]
        console.print(f"Next: {shlex.join(line)}", soft_wrap=True)
