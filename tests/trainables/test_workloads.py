"""Workloads by name, their labels, and what may be imported without what."""

import subprocess
import sys

import pytest

from trainables.errors import InputError
from trainables.workloads import WorkloadSpec, names, workload


@pytest.mark.parametrize(
    "entry", ["mlp/digits", {"name": "quadratic", "kappa": 100, "noise": 0.03, "dim": 60}, {"name": "a", "b": "c/d"}]
)
def test_label_is_the_way_back_to_the_entry(entry: str | dict[str, object]) -> None:
    spec = WorkloadSpec.of(entry)
    assert spec.entry == entry
    assert WorkloadSpec.parse(spec.label) == spec


@pytest.mark.parametrize("label", ["", "quadratic(kappa)", "quadratic(kappa=1", "quadratic(=1)"])
def test_bad_labels_are_told(label: str) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        WorkloadSpec.parse(label)


def test_unknown_names_and_parameters_are_told() -> None:
    with pytest.raises(InputError, match="did you mean 'mlp/digits'"):
        workload(WorkloadSpec("mlp/digit"))
    with pytest.raises(InputError, match=r"quadratic\.kapa: unknown parameter; quadratic takes: kappa"):
        workload(WorkloadSpec.of({"name": "quadratic", "kapa": 3}))


def test_every_workload_says_what_a_search_needs() -> None:
    for name in names():
        built = workload(WorkloadSpec(name))
        assert built.full_budget > 0
        assert all(0 < low < high for low, high in built.base_lr.values())


def test_trains_without_ray_optuna_and_mlflow() -> None:
    code = """
import sys
for name in ("ray", "optuna", "mlflow"):
    sys.modules[name] = None
from trainables.schedules import schedule
from trainables.training import Training, TrialConfig
from trainables.workloads import WorkloadSpec, workload
for name in ("mlp/digits", "quadratic"):
    training = Training(workload(WorkloadSpec(name)), TrialConfig("sgd", 4, schedule("linear"), 0.1, 0))
    training.advance(4)
    assert training.done and not training.diverged
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_schedules_need_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
from trainables.schedules import schedule
assert schedule("uba", phi=2.0).u(5, 10) == 0.5
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
