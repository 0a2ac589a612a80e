"""The study file: what is read, what is filled in, and one clear line for every mistake."""

from typing import Any

import pytest
import yaml

from phitune.search.study.model import Study, parse_study
from phitune.search.study.sections import Resources
from phitune.trainables.errors import InputError

GOOD: dict[str, Any] = {"name": "s", "workloads": ["quadratic"]}


def test_defaults_are_those_of_the_contract() -> None:
    study = parse_study(GOOD)
    assert study.model_dump(mode="json") == {
        "name": "s",
        "workloads": ["quadratic"],
        "budgets": ["5%", "10%", "25%", "50%", "100%"],
        "optimizers": ["sgd"],
        "families": ["uba", "rex", "linear", "cosine", "step"],
        "baselines": ["linear", "cosine"],
        "space": {"phi": [0.05, 50.0], "base_lr": None},
        "schedule": {"warmup": 0, "floor": 0, "sampling": None},
        "sampler": "surrogate",
        "trials": 40,
        "replicates": 3,
        "warm_start": None,
        "early_stopping": "predict",
        "objective": None,
        "diagnostics": {"gradient_points": 0, "hessian": False, "examples": None, "trials": "replicates"},
        "resources": {"cpu": 1, "gpu": 0, "nodes": 1},
        "population": "off",
        "failures": {"checkpoint_seconds": 60, "hung_seconds": 120},
        "equal": "3%",
        "seed": 0,
    }


def test_cells_are_workload_by_optimizer_by_budget() -> None:
    entry = {"name": "quadratic", "kappa": 100}
    study = parse_study({"name": "s", "workloads": ["mlp/digits", entry], "budgets": ["50%", 20]})
    assert [cell.key for cell in study.cells] == [
        "mlp/digits sgd 20",
        "mlp/digits sgd 300",
        "quadratic(kappa=100) sgd 20",
        "quadratic(kappa=100) sgd 1600",
    ]
    assert study.cells[2].workload.entry == entry


def test_the_cells_of_a_study_are_built_once_and_are_no_key_of_its_file() -> None:
    study, other = (Study.model_validate({"name": "s", "workloads": ["quadratic"]}) for _ in range(2))
    assert study.cells is study.cells
    assert study == other
    assert study.to_yaml() == other.to_yaml()


def test_objective_sets_the_direction() -> None:
    study = parse_study({"name": "s", "workloads": ["mlp/digits", "quadratic"], "objective": "val_metric"})
    assert {cell.workload.name: cell.mode for cell in study.cells} == {"mlp/digits": "max", "quadratic": "min"}


def test_a_workload_may_occupy_something_of_its_own() -> None:
    entry = {"name": "quadratic", "kappa": 10, "resources": {"gpu": 0.5}}
    study = parse_study({"name": "s", "workloads": [entry, "mlp/digits"], "budgets": [64], "resources": {"cpu": 2}})
    own, other = study.cells
    assert (own.key, own.resources) == ("quadratic(kappa=10) sgd 64", Resources(cpu=2, gpu=0.5))
    assert other.resources == Resources(cpu=2)
    assert parse_study(yaml.safe_load(study.to_yaml())).cells == study.cells


def test_a_workload_may_have_budgets_and_optimizers_of_its_own() -> None:
    entries = [
        {"name": "mlp/digits", "budgets": ["10%", 300], "optimizers": ["adamw", {"name": "sgd", "nesterov": True}]}
    ]
    study = parse_study({"name": "s", "workloads": [*entries, "quadratic"], "budgets": [64]})
    expected = ["adamw 60", "adamw 300", "sgd(nesterov=true) 60", "sgd(nesterov=true) 300"]
    assert [cell.key for cell in study.cells] == [*(f"mlp/digits {end}" for end in expected), "quadratic sgd 64"]
    assert parse_study(yaml.safe_load(study.to_yaml())).cells == study.cells


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"trails": 3}, "trails: unknown key; did you mean 'trials'?"),
    ({"space": {"phy": [1, 2]}}, "space.phy: unknown key; did you mean 'phi'?"),
    ({"resources": {"gpus": 1}}, "resources.gpus: unknown key; did you mean 'gpu'?"),
    ({"name": None}, "name: None is not allowed"),
    ({"name": "a/b"}, "name: 'a/b' is not allowed"),
    ({"trials": "many"}, "trials: 'many' is not allowed; it must be a whole number, auto or {most: 100}"),
    ({"trials": 0}, "trials: 0 is not allowed"),
    ({"trials": 2.5}, "trials: 2.5 is not allowed"),
    ({"trials": {"mots": 3}}, "trials.mots: unknown key; did you mean 'most'?"),
    ({"trials": {"most": 0}}, "trials.most: 0 is not allowed"),
    ({"sampler": "tpee"}, "sampler: 'tpee' is not allowed; it must be 'surrogate', 'tpe' or 'random'"),
    ({"replicates": -1}, "replicates: -1 is not allowed"),
    ({"seed": -1}, "seed: -1 is not allowed"),
    ({"equal": "0%"}, "equal: '0%' is not allowed; it must be a percentage above 0 and up to '50%'"),
    ({"equal": "51%"}, "equal: '51%' is not allowed; it must be a percentage above 0 and up to '50%'"),
    ({"equal": "3"}, "equal: '3' is not allowed; it must be a percentage above 0 and up to '50%'"),
    ({"workloads": []}, "workloads: [] is not allowed"),
    ({"budgets": []}, "budgets: [] is not allowed"),
    ({"families": []}, "families: [] is not allowed"),
    ({"optimizers": []}, "optimizers: [] is not allowed"),
    ({"families": ["ubba"]}, "unknown family 'ubba'; did you mean 'uba'?"),
    ({"families": ["uba", "uba"], "trials": 9}, "families: 'uba' is there twice"),
    ({"workloads": ["mlp/digit"]}, "unknown workload 'mlp/digit'; did you mean 'mlp/digits'?"),
    ({"workloads": ["quadratic", "quadratic"]}, "workloads: 'quadratic' is there twice"),
    ({"workloads": [{"kappa": 3}]}, "an entry is a name or a mapping with `name`"),
    ({"workloads": [{"name": "quadratic", "kappa": -3}]}, "workloads.quadratic.kappa: -3 is not allowed"),
    ({"workloads": [{"name": "quadratic", "kappa": [1, 2]}]}, "workloads.quadratic.kappa: [1, 2] is not allowed"),
    ({"workloads": [{"name": "quadratic", "kappa": "ten"}]}, "workloads.quadratic.kappa: 'ten' is not allowed"),
    ({"workloads": [{"name": "quadratic", "kappa": True}]}, "workloads.quadratic.kappa: True is not allowed"),
    ({"workloads": [{"name": "quadratic", "kappa": float("inf")}]}, "workloads.quadratic.kappa: inf is not allowed"),
    ({"resources": {"gpu": float("inf")}}, "resources.gpu: inf is not allowed"),
    ({"workloads": ["mlp/digits"], "optimizers": ["adm"]}, "cannot use 'adm'; did you mean 'adam'?"),
    ({"optimizers": ["adam"]}, "optimizers: quadratic cannot use 'adam'; it supports: sgd"),
    ({"budgets": [0]}, "budgets: 0 is not allowed"),
    ({"budgets": [-5]}, "budgets: -5 is not allowed"),
    ({"budgets": [10**12]}, "budgets: 1000000000000 is not allowed"),
    ({"budgets": ["0%"]}, "budgets: '0%' is not allowed"),
    ({"budgets": ["101%"]}, "budgets: '101%' is not allowed"),
    ({"budgets": ["half"]}, "budgets: 'half' is not allowed"),
    ({"budgets": ["0.001%"]}, "budgets: '0.001%' of quadratic is less than one iteration"),
    ({"budgets": [1600, "50%"]}, "1600 is there twice"),
    ({"space": {"phi": [5, 1]}}, "space.phi: [5, 1] is not allowed; it must be [low, high] with 0 < low < high"),
    ({"space": {"phi": [0, 1]}}, "space.phi: [0, 1] is not allowed"),
    ({"space": {"base_lr": [-1, 1]}}, "space.base_lr: [-1, 1] is not allowed"),
    ({"space": {"base_lr": [0.1]}}, "space.base_lr"),
    (
        {"early_stopping": {"rungs": [2]}},
        "early_stopping.rungs: [2] is not allowed; rungs must be shares of the budget",
    ),
    ({"early_stopping": {"rung": [0.5]}}, "early_stopping.rung: unknown key; did you mean 'rungs'?"),
    ({"early_stopping": "hyperband"}, "early_stopping: 'hyperband' is not allowed"),
    ({"objective": "accuracy"}, "objective: 'accuracy' is not allowed"),
    ({"resources": {"cpu": 0}}, "resources.cpu: 0 is not allowed"),
    (
        {"workloads": [{"name": "quadratic", "resources": {"gpus": 1}}]},
        "workloads.quadratic.resources.gpus: unknown key; did you mean 'gpu'?",
    ),
    (
        {"workloads": [{"name": "quadratic", "resources": {"gpu": 0.3}}]},
        "workloads.quadratic.resources.gpu: 0.3 is not allowed",
    ),
    ({"workloads": [{"name": "quadratic", "budgets": []}]}, "workloads.quadratic.budgets: [] is not allowed"),
    ({"workloads": [{"name": "quadratic", "budgets": ["0%"]}]}, "budgets: '0%' is not allowed"),
    ({"workloads": [{"name": "quadratic", "optimizers": "sgd"}]}, "workloads.quadratic.optimizers: 'sgd' is not allow"),
    ({"workloads": [{"name": "quadratic", "resources": 1}]}, "workloads.quadratic.resources: 1 is not allowed"),
    ({"resources": {"gpu": 0.3}}, "resources.gpu: 0.3 is not allowed; it must be a whole number or 1/k, such as 1/3"),
    ({"resources": {"gpu": "1/0"}}, "resources.gpu: '1/0' is not allowed"),
    ({"resources": "lots"}, "resources: 'lots' is not allowed; it must hold keys, of these: cpu, gpu"),
    ({"diagnostics": False}, "diagnostics: False is not allowed; it must hold keys, of these: gradient_points"),
    ({"budgets": "five"}, "budgets: 'five' is not allowed; it must be a list, such as [a, b]"),
    ({"early_stopping": False}, "early_stopping: False is not allowed; it must be 'asha', 'predict' or 'none'"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=[message[:50] for _, message in MISTAKES])
def test_every_mistake_gets_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_study({**GOOD, **change})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_trials_may_be_a_number_or_as_many_as_are_worth_it() -> None:
    for trials, most, auto in ((30, 30, False), ("auto", 60, True), ({"most": 90}, 90, True)):
        study = parse_study({**GOOD, "trials": trials})
        assert (study.most, study.auto) == (most, auto)
        assert parse_study(yaml.safe_load(study.to_yaml())) == study


def test_missing_keys_are_told() -> None:
    with pytest.raises(InputError, match="name: missing"):
        parse_study({"workloads": ["quadratic"]})
    with pytest.raises(InputError, match="worklods: unknown key; did you mean 'workloads'"):
        parse_study({"name": "s", "worklods": ["quadratic"]})


def test_a_gpu_for_three_is_a_third() -> None:
    assert parse_study({**GOOD, "resources": {"gpu": "1/3"}}).resources == Resources(gpu=1 / 3)
