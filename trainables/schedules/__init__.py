"""Learning-rate schedules: pure functions of (step, horizon), one family a file.

>>> from trainables.schedules import schedule
>>> cosine = schedule("uba", phi=2.0)
>>> float(cosine.u(step=50, horizon=100).round(3))
0.5
>>> straight_to_zero = schedule("linear", warmup=0.1)
>>> straight_to_zero.u([0, 10, 55, 100], horizon=100).round(3).tolist()
[0.091, 1.0, 0.5, 0.0]
"""

from trainables.schedules._base import Parameter, Schedule
from trainables.schedules._registry import families, family, from_dict, schedule
from trainables.schedules.constant import Constant
from trainables.schedules.cosine import Cosine
from trainables.schedules.delayed_linear import DelayedLinear
from trainables.schedules.exponential import Exponential
from trainables.schedules.inverse_sqrt import InverseSqrt
from trainables.schedules.linear import Linear
from trainables.schedules.multistep import MultiStep
from trainables.schedules.onecycle import OneCycle
from trainables.schedules.plateau import Plateau
from trainables.schedules.polynomial import Polynomial
from trainables.schedules.refined import Refined
from trainables.schedules.refinement import refine
from trainables.schedules.rex import Rex
from trainables.schedules.rex_phi import RexPhi
from trainables.schedules.sgdr import Sgdr
from trainables.schedules.step import Step
from trainables.schedules.uba import Uba
from trainables.schedules.wsd import Wsd

__all__ = [
    "Constant",
    "Cosine",
    "DelayedLinear",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Parameter",
    "Plateau",
    "Polynomial",
    "Refined",
    "Rex",
    "RexPhi",
    "Schedule",
    "Sgdr",
    "Step",
    "Uba",
    "Wsd",
    "families",
    "family",
    "from_dict",
    "refine",
    "schedule",
]
