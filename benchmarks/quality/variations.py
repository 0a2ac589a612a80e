"""phitune with other settings than its defaults, one changed at a time."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.quality.own import Settings
from benchmarks.quality.plan import curve, phitune, table
from benchmarks.quality.report import COMPUTES

_DEFAULT = Settings()
_ASHA = replace(_DEFAULT, early_stopping="asha")
_SETTINGS = {
    "as it is": _DEFAULT,
    "no stopping": replace(_DEFAULT, early_stopping="none"),
    "rungs 1/8 1/4 1/2": replace(_DEFAULT, shares=(1 / 8, 1 / 4, 1 / 2)),
    "as many as are worth it": replace(_DEFAULT, auto=True),
    "asha": _ASHA,
    "asha, as many as are worth it": replace(_ASHA, auto=True),
    "TPE": replace(_DEFAULT, sampler="tpe"),
    "random": replace(_DEFAULT, sampler="random"),
    "asha, reduction 3": replace(_ASHA, reduction=3),
    "asha, reduction 4": replace(_ASHA, reduction=4),
    "asha, rung 1/4": replace(_ASHA, shares=(1 / 4,)),
    "asha, rung 1/2": replace(_ASHA, shares=(1 / 2,)),
    "asha, rungs 1/8 1/4 1/2": replace(_ASHA, shares=(1 / 8, 1 / 4, 1 / 2)),
    "asha, rung 1/4, reduction 3": replace(_ASHA, shares=(1 / 4,), reduction=3),
    "asha, rung 1/4, reduction 4": replace(_ASHA, shares=(1 / 4,), reduction=4),
    "asha, families without a share": replace(_ASHA, fair=0),
    "asha, population 3": replace(_ASHA, minimum=3),
    "asha, population 8": replace(_ASHA, minimum=8),
    "raw weights": replace(_DEFAULT, average=0),
}


def vary(workloads: list[str], repeats: int, processes: int, only: list[str] | None) -> None:
    """Prints a row a setting: by workload the median and mean regret at amounts of compute."""
    chosen = {name: each for name, each in _SETTINGS.items() if only is None or any(part in name for part in only)}
    for workload in workloads:
        tabled = table(workload)
        print(f"\n{workload}, {repeats} repeats, {tabled.note}\nmedian (mean) regret in per cent after full trainings")
        print(f"| setting | {' | '.join(map(str, COMPUTES))} |\n|---|{'---|' * len(COMPUTES)}")
        for name, settings in chosen.items():
            each = curve(tabled, phitune(settings), repeats, processes)
            pairs = zip(each.compute, 100 * each.median(), 100 * each.mean(), strict=True)
            cells = [f"{median:.2f} ({mean:.2f})" for compute, median, mean in pairs if compute in COMPUTES]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
