"""Who takes part."""

from __future__ import annotations

from benchmarks.overhead.contender import Contender
from benchmarks.overhead.contenders import optuna_alone, phitune_search, ray_documented, ray_reuse, syne_tune_local


def contenders(syne_tune_python: str | None, overrides: list[str]) -> list[Contender]:
    """All that can run here, phitune first.

    Args:
        syne_tune_python: An interpreter that has Syne Tune and NumPy; None leaves it out.
        overrides: ``KEY=VALUE`` for phitune's study.
    """
    line_up = [
        phitune_search.contender(overrides),
        ray_reuse.FLOOR,
        ray_reuse.WITH_MLFLOW,
        optuna_alone.ALONE,
        optuna_alone.WITH_MLFLOW,
        ray_documented.CONTENDER,
    ]
    return [*line_up, syne_tune_local.contender(syne_tune_python)] if syne_tune_python else line_up
