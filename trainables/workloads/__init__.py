"""Workloads: an architecture on a data set with its loss, metric and full budget, one a file."""

from phitune.trainables.workloads.base import Learner, Split, Workload
from phitune.trainables.workloads.registry import names, parameters, workload

__all__ = ["Learner", "Split", "Workload", "names", "parameters", "workload"]
