"""Workloads whose expected loss follows from the schedule by a recursion: nothing is sampled."""

from phitune.trainables.workloads.exact.base import ExactWorkload, MomentsLearner
from phitune.trainables.workloads.exact.power_law import PowerLaw
from phitune.trainables.workloads.exact.problem import Problem
from phitune.trainables.workloads.exact.quadratic import Quadratic
from phitune.trainables.workloads.exact.regression import Regression

__all__ = ["ExactWorkload", "MomentsLearner", "PowerLaw", "Problem", "Quadratic", "Regression"]
