"""The output directory: the changes of a study that it allows."""

from pathlib import Path
from typing import Any

import pytest

from phitune.search.records.directory import claim, describe, owned
from phitune.search.study.model import Study, parse_study
from phitune.trainables.errors import InputError


def study(**change: Any) -> Study:
    values = {"name": "s", "workloads": ["quadratic"], "budgets": [32, 64], "families": ["uba", "linear"], **change}
    return parse_study({"trials": 10, **values})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    with owned(tmp_path / "s"):
        describe(tmp_path / "s", study(), "abc", "sqlite:///x.db", {"parent_run_id": "run"})
    return tmp_path / "s"


def test_the_same_study_goes_on_without_changes(out: Path) -> None:
    assert claim(study(), out) == ("abc", [])
    assert claim(study(), out.with_name("fresh")) == (None, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 20}, "trials: 10 → 20"),
        ({"replicates": 5}, "replicates: 3 → 5"),
        ({"budgets": [64, 32, 128]}, "budgets: [32, 64] → [64, 32, 128]"),
        ({"workloads": ["quadratic", "mlp/digits"]}, "workloads: ['quadratic'] → ['quadratic', 'mlp/digits']"),
        ({"resources": {"cpu": 2}}, "resources: {'cpu': 1.0, 'gpu': 0.0} → {'cpu': 2.0, 'gpu': 0}"),
    ],
)
def test_a_study_may_grow(out: Path, change: dict[str, Any], message: str) -> None:
    assert claim(study(**change), out) == ("abc", [message])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 9}, "trials: 9 is not what the study in .* was started with .10.; it may only grow"),
        ({"seed": 1}, "seed: 1 is not what the study in .* change it back, or give another --out"),
        ({"families": ["uba"]}, "families: "),
        ({"early_stopping": "none"}, "early_stopping: 'none' is not"),
        ({"budgets": [64, 128]}, r"budgets: \[64, 128\] is not .* the cell 'quadratic sgd 32' would be lost"),
        ({"workloads": ["mlp/digits"]}, "workloads: .* the cell 'quadratic sgd 32' would be lost"),
    ],
)
def test_changes_that_make_trials_incomparable_are_refused(out: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        claim(study(**change), out)


def test_one_process_at_a_time_and_an_impossible_study_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "s"
    with owned(out), pytest.raises(InputError, match="another process"), owned(out):
        pass
    with pytest.raises(InputError, match="no"), owned(tmp_path / "t"):
        raise InputError("no")
    assert not (tmp_path / "t").exists()
