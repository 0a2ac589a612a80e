"""Results tables of one cell with chosen objectives, without a search."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from phitune.analysis.results import tidy


def cell(
    values: Mapping[str, Sequence[float]],
    budget: int = 100,
    workload: str = "w",
    mode: str = "min",
    deterministic: bool = False,
    diverged: Sequence[str] = (),
) -> pd.DataFrame:
    """One explore trial a family, at the mean of its replicates; these have seeds 1, 2, ... in all families.

    Args:
        values: Objectives of each family's replicates.
        diverged: Families whose first replicate diverged.
    """
    rows = []
    for family, runs in values.items():
        schedule = {"family": family} | ({"phi": 2.0} if family == "uba" else {})
        configuration = {"family": family, "phi": schedule.get("phi", float("nan")), "schedule": json.dumps(schedule)}
        name = f"{workload}-{budget}-{family}"
        mean = sum(runs) / len(runs)
        rows.append(
            configuration | {"trial_id": name, "phase": "explore", "status": "completed", "objective": mean, "seed": 0}
        )
        for seed, value in enumerate(runs, start=1):
            status = "diverged" if family in diverged and seed == 1 else "completed"
            outcome = {"objective": value if status == "completed" else float("nan"), "status": status, "seed": seed}
            rows.append(
                configuration | outcome | {"trial_id": f"{name}.{seed}", "phase": "replicate", "finalist": name}
            )
    shared = {"study": "made", "workload": workload, "optimizer": "sgd", "budget": budget, "base_lr": 0.1}
    return tidy(pd.DataFrame(rows).assign(mode=mode, deterministic=deterministic, cell=workload, **shared))
