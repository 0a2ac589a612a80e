"""Cells of guidelines.json: of this version, of older ones, damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from phitune.analysis.answers.cell import Cell
from phitune.analysis.answers.recommend import recommend
from phitune.analysis.answers.shape_guideline import ShapeGuideline, to_keys
from phitune.trainables.errors import InputError

OLDEST: dict[str, Any] = {
    "workload": {"name": "quadratic", "kappa": 100}, "optimizer": "sgd", "budget": 50, "family": "uba", "phi": 2,
    "base_lr": 0.1,
}  # fmt: skip


def test_the_fields_are_those_of_the_file(guidelines_file: Path) -> None:
    entries = json.loads(guidelines_file.read_text())["cells"]
    verdicts = {entry["verdict"] for entry in entries}
    assert "thin" in verdicts and len(verdicts) > 1
    for entry in entries:
        cell = Cell.from_dict(entry)
        for key, value in json.loads(json.dumps(vars(cell) | to_keys(cell.shapes))).items():
            assert entry[key] == value


def test_keys_that_an_older_file_lacks_are_unknown() -> None:
    cell = Cell.from_dict(OLDEST)
    assert (cell.label, cell.budget, cell.base_lr) == ("quadratic(kappa=100)", 50, 0.1)
    assert cell.shapes == (ShapeGuideline("uba", "phi", best=2.0),) and cell.schedule is None
    assert (cell.trials, cell.replicates, cell.cautions) == (0, 0, [])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("workload", 5, "whose 'workload' is 5; it must be a workload's name"),
        ("workload", {"kappa": 100}, "whose 'workload' is {'kappa': 100}; it must be a workload's name"),
        ("label", "quadratic(kappa", "whose 'workload' is "),
        ("optimizer", None, "whose 'optimizer' is None; it must be known"),
        ("budget", None, "whose 'budget' is None; it must be known"),
        ("budget", "many", "whose 'budget' is 'many'; it must be a number"),
        ("phi", -1, "whose 'phi' is -1.0; it must be positive"),
        ("base_lr", True, "whose 'base_lr' is True; it must be a number"),
        ("phi_interval", [1], "whose 'phi_interval' is [1]; it must be a list of two numbers"),
        ("phi_interval", [1, None], "whose 'phi_interval' is [1, None]; it must be a list of two numbers"),
        ("schedule", "uba", "whose 'schedule' is 'uba'; it must be a mapping"),
        ("shapes", {}, "whose 'shapes' is "),
        ("shapes", [{"family": "wsd"}], "whose 'shapes' is "),
        ("shapes", [{"family": "wsd", "parameter": "cooldown", "best": 0}], "whose 'best' is 0.0; it must be positive"),
        ("verdict", 1, "whose 'verdict' is 1; it must be text"),
        ("mixed", "uba", "whose 'mixed' is 'uba'; it must be a list of names"),
    ],
)
def test_an_error_names_the_file_and_the_field(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"cells": [OLDEST, OLDEST | {key: value}]}))
    with pytest.raises(InputError) as error:
        recommend("quadratic", 50, guidelines=path)
    assert str(error.value).startswith(f"--guidelines: {str(path)!r} has a cell {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cells": [7]}, "has a cell that is 7; it must be a mapping"),
        ({"cells": [{"budget": 3}]}, "has a cell without 'workload'"),
        ({"cells": [OLDEST], "models": [{"slope": 1}]}, "has models of another version"),
        ({"cells": [OLDEST], "validation": {"leave_workload_out": {"regret": {"mean": 1}}}}, "has a validation of"),
    ],
)
def test_a_foreign_file_is_named(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = tmp_path / "g.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        recommend("quadratic", 50, guidelines=path)
    assert str(error.value).startswith(f"--guidelines: {str(path)!r} {message}")


def test_cautions_are_about_the_recommended_familys_parameter() -> None:
    shape = {"family": "wsd", "parameter": "cooldown", "verdict": "boundary", "best": 0.9, "base_lr_at_limit": True}
    entry = OLDEST | {"verdict": "absent", "phi": None, "family": "wsd", "shapes": [shape]}
    edge, limit = Cell.from_dict(entry).cautions
    assert "cooldown's interval touches" in edge and "space.cooldown" in edge and "space.base_lr" in limit


def test_cautions_follow_from_the_fields() -> None:
    entry = OLDEST | {"verdict": "unclear", "base_lr_at_limit": True, "trials": 40, "replicates": 3}
    place, limit = Cell.from_dict(entry).cautions
    assert "do not locate it" in place and "as high as was tried" in limit and "widen space.base_lr" in limit
    _, lowest = Cell.from_dict(entry | {"base_lr_at_limit": False, "base_lr_lowest": True}).cautions
    assert "as low as was tried" in lowest
    *_, runs, other = Cell.from_dict(
        entry | {"family": "rex", "family_reason": "rex beats UBA", "replicates": 0}
    ).cautions
    assert runs.startswith("no replicates") and other.endswith("rex beats UBA")
