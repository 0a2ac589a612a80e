"""phitune with other settings than its defaults, one changed at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.quality.own import Settings
from benchmarks.quality.plan import own, table

_DEFAULT = Settings()
_SETTINGS = {
    "as it is": _DEFAULT,
    "no stopping": replace(_DEFAULT, shares=()),
    "reduction 3": replace(_DEFAULT, reduction=3),
    "reduction 4": replace(_DEFAULT, reduction=4),
    "rung 1/4": replace(_DEFAULT, shares=(1 / 4,)),
    "rung 1/2": replace(_DEFAULT, shares=(1 / 2,)),
    "rungs 1/8 1/4 1/2": replace(_DEFAULT, shares=(1 / 8, 1 / 4, 1 / 2)),
    "rungs 1/16 1/4": replace(_DEFAULT, shares=(1 / 16, 1 / 4)),
    "rungs 1/16 1/8 1/4 1/2": replace(_DEFAULT, shares=(1 / 16, 1 / 8, 1 / 4, 1 / 2)),
    "rung 1/4, reduction 3": replace(_DEFAULT, shares=(1 / 4,), reduction=3),
    "rung 1/4, reduction 4": replace(_DEFAULT, shares=(1 / 4,), reduction=4),
    "families without a share": replace(_DEFAULT, fair=0),
    "one of each family": replace(_DEFAULT, fair=1),
    "population 3": replace(_DEFAULT, minimum=3),
    "population 8": replace(_DEFAULT, minimum=8),
    "raw weights": replace(_DEFAULT, average=0),
    "average over 20 %": replace(_DEFAULT, average=5),
    "average over 5 %": replace(_DEFAULT, average=20),
    "start 1/4": replace(_DEFAULT, start=0.25),
    "start 3/4": replace(_DEFAULT, start=0.75),
    "2 finalists": replace(_DEFAULT, finalists=2),
    "3 finalists": replace(_DEFAULT, finalists=3),
    "3 finalists, 2 seeds": replace(_DEFAULT, finalists=3, replicates=2),
    "start 1/4, 3 finalists": replace(_DEFAULT, start=0.25, finalists=3),
    "start 1/4, 3 finalists, rungs 1/8 1/4 1/2, one of each": replace(
        _DEFAULT, start=0.25, finalists=3, shares=(1 / 8, 1 / 4, 1 / 2), fair=1
    ),
    "surface": replace(_DEFAULT, replicates=0, choice="surface"),
}


def vary(workloads: list[str], repeats: int, processes: int, trials: int, only: list[str] | None) -> None:
    """Prints a row a setting: by workload the compute and regret when explored, and with replicates."""
    chosen = {name: each for name, each in _SETTINGS.items() if only is None or any(part in name for part in only)}
    for workload in workloads:
        tabled = table(workload)
        print(tabled.note)
        print(f"\n{workload}, {trials} trials, {repeats} repeats: compute, median (mean) regret in per cent")
        print("| setting | explored | with replicates |\n|---|---|---|")
        for name, settings in chosen.items():
            cells = []
            for curve in own(tabled, settings, [trials], repeats, processes):
                compute, regret = float(np.median(curve.compute)), 100 * curve.regret[:, 0]
                cells.append(f"{compute:.1f}, {np.median(regret):.2f} ({regret.mean():.2f})")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
