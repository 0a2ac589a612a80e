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

_HOMES = {
    "recommend": "phitune.analysis",
    "refine": "phitune.trainables.schedules",
    "schedule": "phitune.trainables.schedules",
}

__all__ = ["recommend", "refine", "schedule"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'phitune' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
