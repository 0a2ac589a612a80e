"""The families of a study file: names, labels, fixed and searched parameters, warmup and floor for all."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from phitune.search.proposing.space import point
from phitune.search.study.cell import Cell
from phitune.search.study.file import read_study
from phitune.search.study.model import parse_study
from phitune.trainables.errors import InputError

GOOD: dict[str, Any] = {"name": "s", "workloads": ["quadratic"], "budgets": [200], "baselines": []}


def cell(**change: Any) -> Cell:
    return parse_study({**GOOD, **change}).cells[0]


def test_only_parameters_without_a_default_are_searched_unless_space_names_them() -> None:
    plain = cell(families=["uba", "exponential", "wsd"])
    assert [sorted(space.searched) for space in plain.families] == [["phi"], [], []]
    searching = cell(families=["uba", "exponential", "wsd"], space={"rate": [1, 9], "wsd.cooldown": [0.1, 0.5]})
    assert [sorted(space.searched) for space in searching.families] == [["phi"], ["rate"], ["cooldown"]]
    assert searching.families[1].searched["rate"].high == 9


def test_warmup_and_floor_of_any_family_are_searched_where_space_names_them() -> None:
    assert "warmup" not in cell(families=["spline"]).families[0].searched
    searching = cell(families=["spline", "uba"], space={"warmup": [0.01, 0.1], "uba.floor": [0.001, 0.5]})
    spline, uba = searching.families
    assert sorted(spline.searched) == ["lr1", "lr2", "time1", "time2", "warmup"]
    assert sorted(uba.searched) == ["floor", "phi", "warmup"]
    values = {"time1": 0.5, "lr1": 0.5, "time2": 0.5, "lr2": 0.5, "warmup": 0.1, "mean_lr": 0.1}
    made = point(spline, searching, {f"spline.{key}": value for key, value in values.items()})
    assert made.base_lr == pytest.approx(0.1 / (0.1 / 2 + 0.9 / 2))
    assert str(uba) == "uba (phi 0.05 to 50, warmup 0.01 to 0.1, floor 0.001 to 0.5)"
    shares = cell(families=["uba"], space={"warmup": ["1%", "10%"]}).families[0]
    assert shares.searched["warmup"] == uba.searched["warmup"]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            {"schedule": {"warmup": "5%"}, "space": {"warmup": [0.01, 0.1]}},
            r"space.warmup: \[0.01, 0.1\] is not allowed; `schedule` fixes warmup for all",
        ),
        (
            {"families": [{"name": "uba", "phi": 2}], "space": {"uba.phi": [1, 4]}},
            r"space.uba.phi: \[1, 4\] is not allowed; `families` fixes phi of uba",
        ),
        (
            {"space": {"uba.warmup": [5, 40]}},
            "space.uba.warmup: 5.0 is not allowed.*a range of warmups is one of fractions",
        ),
        ({"space": {"floor": [0.1, 1.5]}}, "space.floor: 1.5 is not allowed"),
        ({"space": {"phi": 2}}, "space.phi: 2 is not allowed; it must be a range of two numbers"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused_by_its_own_name(study: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cell(**{"families": ["uba"], **study})


def test_an_entry_fixes_parameters_and_has_a_label() -> None:
    entries = ["uba", {"name": "uba", "phi": 2, "label": "cosine-like"}, {"name": "cosine", "floor": 0.1}]
    labelled = cell(families=entries, schedule={"warmup": "5%"})
    space = labelled.families[1]
    assert space.label == "cosine-like"
    configuration = point(space, labelled, {"cosine-like.mean_lr": 0.1})
    assert configuration.schedule.to_dict() == {"family": "uba", "phi": 2, "warmup": 0.05}
    assert configuration.mean_lr == pytest.approx(configuration.base_lr * (0.05 / 2 + 0.95 / 2))
    assert labelled.families[2].schedule().to_dict() == {"family": "cosine", "warmup": 0.05, "floor": 0.1}


def test_baselines_are_searched_whether_or_not_they_are_among_the_families() -> None:
    labels = [space.label for space in cell(families=["uba", "cosine"], baselines=["linear", "cosine"]).families]
    assert labels == ["uba", "cosine", "linear"]
    with pytest.raises(InputError, match="baselines: 'uba' is not allowed; baselines may be: rex, linear"):
        cell(baselines=["uba"])


def test_a_refined_profile_is_read_from_its_file_once(tmp_path: Path) -> None:
    (tmp_path / "refined.json").write_text(json.dumps({"family": "refined", "values": [0.5, 1, 0]}), encoding="utf-8")
    entries = ["cosine", {"name": "refined", "values": "refined.json"}]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**GOOD, "families": entries}), encoding="utf-8")
    study = read_study(tmp_path / "study.yaml")
    (tmp_path / "refined.json").unlink()
    assert parse_study(yaml.safe_load(study.to_yaml())) == study
    assert study.cells[0].families[1].schedule().u(100, 200) == pytest.approx(1)


def test_schedule_free_optimizers_are_searched_with_constant_alone() -> None:
    study = parse_study({**GOOD, "workloads": ["mlp/digits"], "optimizers": ["sgd", "schedulefree-sgd"]})
    labels = {cell.optimizer.name: [space.label for space in cell.families] for cell in study.cells}
    assert labels == {"sgd": ["uba", "rex", "linear", "cosine", "step"], "schedulefree-sgd": ["constant"]}


def test_optimizers_may_have_options() -> None:
    entry = {"name": "sgd", "momentum": 0.95, "nesterov": True}
    cells = parse_study({**GOOD, "workloads": ["mlp/digits"], "optimizers": ["sgd", entry]}).cells
    assert [each.optimizer.label for each in cells] == ["sgd", "sgd(momentum=0.95,nesterov=true)"]
    assert cells[0].base_lr == cells[1].base_lr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"families": [{"name": "wsd", "cooldwn": 0.3}]},
            "families.wsd.cooldwn: unknown parameter; did you mean 'cooldown'?",
        ),
        ({"families": [{"name": "wsd", "cooldown": 3}]}, "families.wsd.cooldown: 3 is not allowed"),
        ({"families": [{"phi": 3}]}, "families: {'phi': 3} is not allowed; an entry is a name or a mapping"),
        ({"families": ["uba", "uba"]}, "families: 'uba' is there twice"),
        ({"families": ["refined"]}, "refined.values: missing"),
        ({"families": [{"name": "refined", "values": "gone.json"}]}, "values: 'gone.json' is not allowed"),
        ({"space": {"rate": [1, 2]}}, "space.rate: unknown key"),
        ({"space": {"phi": [-1, 2]}}, "space.phi: [-1, 2] is not allowed; it must be [low, high]"),
        ({"families": ["exponential"], "space": {"rate": [3, 2]}}, "space.rate: [3, 2] is not allowed"),
        ({"schedule": {"warmup": "150%"}}, "schedule.warmup: 1.5 is not allowed"),
        ({"schedule": {"warmpu": 3}}, "schedule.warmpu: unknown key; did you mean 'warmup'?"),
        ({"schedule": {"floor": [1]}}, "schedule.floor: [1] is not allowed"),
        ({"diagnostics": {"hessian": 3}}, "diagnostics.hessian: 3 is not allowed"),
        ({"optimizers": [{"name": "sgd", "momentum": 0.9}]}, "optimizers.sgd.momentum: unknown option"),
        (
            {"workloads": ["mlp/digits"], "optimizers": [{"name": "sgd", "momentum": 2}]},
            "sgd.momentum: 2 is not allowed",
        ),
    ],
)
def test_every_mistake_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_study({**GOOD, **change})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
