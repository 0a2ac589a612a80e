"""Learning-rate schedules: pure functions of (step, horizon), one family a file.

>>> from phitune.trainables.schedules import schedule
>>> cosine = schedule("uba", phi=2.0)
>>> float(cosine.u(step=50, horizon=100).round(3))
0.5
>>> straight_to_zero = schedule("linear", warmup=0.1)
>>> straight_to_zero.u([0, 10, 55, 100], horizon=100).round(3).tolist()
[0.091, 1.0, 0.5, 0.0]
"""

from phitune.trainables.schedules._base import Parameter, Schedule
from phitune.trainables.schedules._registry import families, family, from_dict, schedule
from phitune.trainables.schedules.constant import Constant
from phitune.trainables.schedules.cosine import Cosine
from phitune.trainables.schedules.delayed_linear import DelayedLinear
from phitune.trainables.schedules.exponential import Exponential
from phitune.trainables.schedules.inverse_sqrt import InverseSqrt
from phitune.trainables.schedules.linear import Linear
from phitune.trainables.schedules.multistep import MultiStep
from phitune.trainables.schedules.onecycle import OneCycle
from phitune.trainables.schedules.plateau import Plateau
from phitune.trainables.schedules.polynomial import Polynomial
from phitune.trainables.schedules.refined import Refined
from phitune.trainables.schedules.refinement import refine
from phitune.trainables.schedules.rex import Rex
from phitune.trainables.schedules.rex_phi import RexPhi
from phitune.trainables.schedules.sgdr import Sgdr
from phitune.trainables.schedules.spline import Spline
from phitune.trainables.schedules.step import Step
from phitune.trainables.schedules.uba import Uba
from phitune.trainables.schedules.wsd import Wsd

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
    "Spline",
    "Step",
    "Uba",
    "Wsd",
    "families",
    "family",
    "from_dict",
    "refine",
    "schedule",
]
