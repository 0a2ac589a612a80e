"""Workloads: an architecture on a data set with its loss, metric and full budget, one a file."""

from trainables.workloads.registry import names, parameters, workload
from trainables.workloads.spec import WorkloadSpec

__all__ = ["WorkloadSpec", "names", "parameters", "workload"]
