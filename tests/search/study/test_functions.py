"""Functions in a study file: their cells, and one clear line for every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import phitune
from phitune.search.records.directory import claim, describe, owned
from phitune.search.study.cell import Cell
from phitune.search.study.model import parse_study
from phitune.search.study.sections import Resources
from phitune.trainables.errors import InputError


def train(trial: phitune.Trial, width: int = 64) -> None: ...


NAME = f"{__name__}:train"
ENTRY = {"name": NAME, "full_budget": 2000, "base_lr": [1.0e-4, 0.1]}


def cells(*entries: Any, **more: Any) -> tuple[Cell, ...]:
    return parse_study({"name": "s", "workloads": list(entries), "budgets": ["50%", 200], **more}).cells


def test_an_entry_says_what_a_class_would_know() -> None:
    said = {"objective": "val_metric", "metric_name": "BLEU", "artifacts": "all", "resources": {"cpu": 2}, "width": 8}
    short, long = cells({**ENTRY, **said})
    assert (short.key, long.key) == (f"{NAME}(width=8) own 200", f"{NAME}(width=8) own 1000")
    assert long.workload.entry == {"name": NAME, "width": 8}
    assert (long.full_budget, long.base_lr) == (2000, (1e-4, 0.1))
    assert (long.objective, long.mode, long.metric_name, long.artifacts) == ("val_metric", "max", "BLEU", "all")
    assert long.resources == Resources(cpu=2)
    assert long.is_function and not long.deterministic


def test_only_a_function_trains_on_several_nodes() -> None:
    (cell,) = cells({**ENTRY, "resources": {"nodes": 2}}, budgets=[20], resources={"cpu": 4})
    assert cell.resources == Resources(cpu=4, nodes=2)
    with pytest.raises(InputError, match=r"resources\.nodes: 2 is not allowed for mlp/digits; only a function"):
        cells(ENTRY, "mlp/digits", budgets=[20], resources={"nodes": 2})
    with pytest.raises(InputError, match=r"resources\.nodes: 0 is not allowed"):
        cells(ENTRY, resources={"nodes": 0})


def test_a_function_is_searched_once_whatever_the_optimizers() -> None:
    mixed = cells(ENTRY, "mlp/digits", optimizers=["sgd", "adamw"], budgets=[20])
    assert [cell.optimizer.label for cell in mixed] == ["own", "sgd", "adamw"]
    assert not mixed[1].is_function


def test_the_study_s_keys_have_the_same_say_as_with_classes() -> None:
    (cell,) = cells({**ENTRY, "base_lr": [1, 2]}, objective="val_metric", space={"base_lr": [3, 4]}, budgets=[20])
    assert (cell.base_lr, cell.objective) == ((3, 4), "val_metric")
    (cell,) = cells({"name": NAME, "full_budget": 5}, space={"base_lr": [3, 4]}, budgets=[20])
    assert cell.base_lr == (3, 4)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (NAME, "workloads.HERE.full_budget: missing; a function's entry needs its full budget in iterations"),
        (f"{NAME}(width=3)", "workloads.HERE.full_budget: missing; a function's entry needs its full budget"),
        ({"name": NAME, "full_budget": 5}, "workloads.HERE.base_lr: missing; a function's entry needs its range of"),
        ({**ENTRY, "base_lr": [2, 1]}, "workloads.HERE.base_lr: [2, 1] is not allowed; it must be [low, high] with"),
        ({**ENTRY, "full_budget": 0}, "workloads.HERE.full_budget: 0 is not allowed; it must be greater than or"),
        ({**ENTRY, "full_budget": "1e4"}, "workloads.HERE.full_budget: '1e4' is not allowed; it must be a valid int"),
        ({**ENTRY, "objective": "accuracy"}, "workloads.HERE.objective: 'accuracy' is not allowed; it must be 'val_"),
        ({**ENTRY, "artifacts": "some"}, "workloads.HERE.artifacts: 'some' is not allowed; it must be 'none', 'repl"),
        ({**ENTRY, "width": [1]}, "workloads.HERE.width: [1] is not allowed; it must be a number or a word"),
        ({**ENTRY, "widht": 1}, "workloads.HERE.widht: unknown parameter; did you mean 'width'? HERE takes: width"),
        ({**ENTRY, "resources": {"gpu": 0.7}}, "workloads.HERE.resources.gpu: 0.7 is not allowed; it must be a who"),
        (
            {**ENTRY, "optimizers": ["sgd"]},
            "workloads.HERE.optimizers: not allowed; a function makes its optimizer itse",
        ),
    ],
)
def test_mistakes_cost_one_clear_line(entry: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        cells(entry)
    assert str(error.value).startswith(message.replace("HERE", NAME))
    assert "\n" not in str(error.value)


def test_another_objective_on_the_same_cells_is_refused(tmp_path: Path) -> None:
    values: dict[str, Any] = {"name": "s", "workloads": [ENTRY], "budgets": [200]}
    with owned(tmp_path / "s"):
        describe(tmp_path / "s", parse_study(values), "abc", "sqlite:///x.db", {})
    values["workloads"] = [{**ENTRY, "objective": "val_metric"}]
    with pytest.raises(InputError, match=r"^workloads: .*val_metric.*val_loss.*change it back$"):
        claim(parse_study(values), tmp_path / "s")
