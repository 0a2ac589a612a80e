"""Learning-rate schedules: pure functions of (step, horizon), one family a file.

>>> from trainables.schedules import schedule
>>> cosine = schedule("uba", phi=2.0)
>>> float(cosine.u(step=50, horizon=100).round(3))
0.5
"""

from trainables.schedules._base import Parameter, Schedule
from trainables.schedules._registry import families, family, from_dict, schedule
from trainables.schedules.constant import Constant
from trainables.schedules.cosine import Cosine
from trainables.schedules.exponential import Exponential
from trainables.schedules.linear import Linear
from trainables.schedules.rex import Rex
from trainables.schedules.step import Step
from trainables.schedules.uba import Uba

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "Linear",
    "Parameter",
    "Rex",
    "Schedule",
    "Step",
    "Uba",
    "families",
    "family",
    "from_dict",
    "schedule",
]
