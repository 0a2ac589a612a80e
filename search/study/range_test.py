"""The range test: at which constant LR each workload's loss is lowest after a few iterations.

The best base LR of one workload says little of the next one's. Its ratio to this LR varies less: of 80 cells of eight
networks, with SGD and AdamW, it lies within `SEARCHED` in 72 (``python -m benchmarks.quality optimizers``).
"""

from __future__ import annotations

from typing import Any

from phitune.search.study.model import Study, parse_study

ITERATIONS = 20
TRIALS = 12
# Constant LRs that are tried, from where hardly anything moves to where anything diverges.
TRIED = (1e-5, 10.0)
# Base LRs to search, as multiples of the LR that is found.
SEARCHED = (0.2, 5.0)
_KEPT = {"optimizers", "resources", "population", "failures", "seed"}


def range_test(study: Study) -> Study:
    """The study that tests the workloads of another, with its optimizers and resources.

    Raises:
        InputError: As of `parse_study`.
    """
    return parse_study(
        {
            **study.model_dump(include=_KEPT),
            "name": f"{study.name}-range-test",
            "workloads": [_without_budgets(entry) for entry in study.workloads],
            "budgets": [ITERATIONS],
            "families": ["constant"],
            "baselines": [],
            "space": {"base_lr": list(TRIED)},
            "trials": TRIALS,
            "replicates": 0,
            "early_stopping": "none",
        }
    )


def _without_budgets(entry: str | dict[str, Any]) -> str | dict[str, Any]:
    return entry if isinstance(entry, str) else {key: value for key, value in entry.items() if key != "budgets"}


def searched(lr: float) -> tuple[float, float] | None:
    """The range of base LRs to search, to two digits; None where the LR lies at an end of what was tried."""
    low, high = TRIED
    if not 1.5 * low < lr < high / 1.5:
        return None
    return float(f"{SEARCHED[0] * lr:.2g}"), float(f"{SEARCHED[1] * lr:.2g}")
