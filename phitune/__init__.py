"""Which learning-rate schedule, which φ and which base LR for a network trained under a fixed budget.

Importing this package is cheap; each name is loaded when it is first used.

>>> from phitune import schedule
>>> float(schedule("uba", phi=2.0).u(step=50, horizon=100).round(3))
0.5
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phitune.analysis import recommend as recommend
    from phitune.trainables.schedules import refine as refine
    from phitune.trainables.schedules import schedule as schedule
    from phitune.trainables.training.function import Trial as Trial
    from phitune.trainables.training.function import spawn as spawn
    from phitune.trainables.training.function import trial as trial

_HOMES = {
    "Trial": "phitune.trainables.training.function",
    "recommend": "phitune.analysis",
    "refine": "phitune.trainables.schedules",
    "schedule": "phitune.trainables.schedules",
    "spawn": "phitune.trainables.training.function",
    "trial": "phitune.trainables.training.function",
}

__all__ = ["Trial", "recommend", "refine", "schedule", "spawn", "trial"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'phitune' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
