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
    before = claim(study(), out)
    assert (before.study_id, before.changes, before.moved) == ("abc", (), False)
    assert before.opened["parent_run_id"] == "run"
    assert claim(study(), out.with_name("fresh")).study_id is None


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"trials": 20}, ["trials: 10 → 20"]),
        ({"trials": 5}, ["trials: 10 → 5"]),
        ({"trials": "auto"}, ["trials: 10 → 'auto'"]),
        ({"replicates": 5}, ["replicates: 3 → 5"]),
        ({"replicates": 0}, ["replicates: 3 → 0"]),
        ({"budgets": [64, 32, 128]}, ["budgets: [32, 64] → [64, 32, 128]"]),
        ({"budgets": [64, 128]}, ["budgets: [32, 64] → [64, 128]", "cells: quadratic sgd 32 left out"]),
        ({"workloads": ["quadratic", "mlp/digits"]}, ["workloads: ['quadratic'] → ['quadratic', 'mlp/digits']"]),
        (
            {"resources": {"cpu": 2}},
            ["resources: {'cpu': 1.0, 'gpu': 0.0, 'nodes': 1} → {'cpu': 2.0, 'gpu': 0, 'nodes': 1}"],
        ),
        ({"baselines": ["linear"]}, ["families: cosine left out", "baselines: cosine left out"]),
    ],
)
def test_a_study_may_change_in_size(out: Path, change: dict[str, Any], messages: list[str]) -> None:
    before = claim(study(**change), out)
    assert (before.study_id, list(before.changes)) == ("abc", messages)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"space": {"phi": [0.01, 99]}}, ["space.phi: [0.05, 50] → [0.01, 99]"]),
        ({"space": {"base_lr": [0.1, 2]}}, ["space.base_lr: the workload's own → [0.1, 2]"]),
        (
            {"families": ["uba", "linear", "exponential"], "space": {"rate": [1, 9]}},
            ["space.rate: not searched → [1, 9]", "families: exponential added"],
        ),
        ({"families": ["cosine", "step"]}, ["families: cosine, step added; uba, linear left out"]),
        ({"families": [{"name": "uba", "phi": 2}, "linear"]}, ["families: uba searches phi no more"]),
    ],
)
def test_what_is_searched_may_change(out: Path, change: dict[str, Any], messages: list[str]) -> None:
    values = {"baselines": [], **change}
    describe(out, study(baselines=[]), "abc", "sqlite:///x.db", {})
    before = claim(study(**values), out)
    assert (list(before.changes), before.moved) == (messages, True)


def test_a_label_keeps_its_meaning(out: Path) -> None:
    described = {"name": "wsd", "cooldown": 0.3, "label": "mine"}
    describe(out, study(families=["uba", described]), "abc", "sqlite:///x.db", {})
    for other in ({"cooldown": 0.2}, {"floor": 0.1}, {"name": "cosine", "cooldown": None}):
        entry = {key: value for key, value in {**described, **other}.items() if value is not None}
        with pytest.raises(InputError, match=r"families: 'mine' was wsd with cooldown 0\.3 before and is .*`label`"):
            claim(study(families=["uba", entry]), out)
    searched = study(families=["uba", {"name": "wsd", "label": "mine"}], space={"cooldown": [0.1, 0.5]})
    assert "families: mine searches cooldown" in claim(searched, out).changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed: 1 is not what the study in .* change it back, or give another --out"),
        ({"early_stopping": "none"}, "early_stopping: 'none' is not"),
        ({"schedule": {"warmup": "5%"}}, "schedule: .* change it back"),
        ({"budgets": [128]}, r"budgets: \[128\] is not .* none of its cells would stay; give another --out"),
        ({"workloads": ["mlp/digits"]}, "workloads: .* none of its cells would stay"),
    ],
)
def test_changes_that_make_trials_incomparable_are_refused(out: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        claim(study(**change), out)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: [*lines[:3], "garbage", *lines[3:]], r"study\.yaml': line 4 is no YAML"),
        (lambda lines: [*lines[:4], "garbage: 1", *lines[4:]], r"study\.yaml': line 5: garbage: unknown key"),
        (lambda lines: [*lines, "trials: many"], r"study\.yaml': line \d+: trials: 'many' is not allowed"),
        (lambda lines: [*lines[:2], "\0", *lines[2:]], r"study\.yaml': line 3 is no YAML"),
        (lambda lines: [*lines[:2], "\t- {", *lines[2:]], r"study\.yaml': line 3 is no YAML"),
        (lambda lines: [*lines[:2], "\udcff", *lines[2:]], r"study\.yaml' cannot be read .*position"),
        (lambda lines: lines[:2], r"study\.yaml'.*workloads: missing"),
        (lambda lines: [], r"study\.yaml' cannot be read \(it holds no keys"),
        (None, r"study\.yaml' cannot be read \(No such file"),
    ],
)
def test_a_damaged_study_yaml_is_named_with_its_line(out: Path, spoil: Any, message: str) -> None:
    path = out / "study.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    if spoil is not None:
        path.write_bytes("\n".join(spoil(lines)).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message) as refusal:
        claim(study(), out)
    assert "\n" not in str(refusal.value) and "artifact" in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"name": "s"}', '{"study_id": null}', "\udcff", None])
def test_a_damaged_or_lost_study_json_is_written_anew_with_the_study_s_id(out: Path, content: str | None) -> None:
    path, damaged = out / "study.json", out / "study.json.damaged"
    whole = path.read_bytes()
    path.unlink()
    (out / "trials.jsonl").touch()
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    before = claim(study(trials=20), out)
    assert (before.study_id, list(before.changes)) == ("abc", ["trials: 10 → 20"])
    assert f"{path} was {'missing' if content is None else 'damaged'} and is written anew" in before.damage
    assert ("study.json.damaged" in before.damage) == (content is not None)
    describe(out, study(trials=20), "abc", "sqlite:///x.db", {"parent_run_id": "run"})
    assert path.read_bytes() == whole
    assert damaged.exists() == (content is not None)
    assert content is None or damaged.read_bytes() == content.encode(errors="surrogateescape")
    assert claim(study(trials=20), out).damage == ""


def test_a_study_whose_id_is_lost_gets_another(out: Path) -> None:
    (out / "study.json").write_text("{", encoding="utf-8")
    (out / "study.yaml").write_text(study().to_yaml(), encoding="utf-8")
    before = claim(study(), out)
    assert before.study_id not in (None, "abc") and "MLflow gets another run of it" in before.damage
    (out / "study.json").write_text('{"study_id": "abc"}', encoding="utf-8")
    assert (claim(study(), out).study_id, claim(study(), out).damage) == ("abc", "")
    with pytest.raises(InputError, match="seed: 1 is not what"):
        claim(study(seed=1), out)


def test_a_cell_that_was_left_out_may_return_but_not_with_another_objective(out: Path) -> None:
    both, digits = study(workloads=["quadratic", "mlp/digits"]), study(workloads=["mlp/digits"])
    facts = {key: {"objective": cell.objective, "mode": cell.mode} for key, cell in zip("ab", both.cells, strict=False)}
    facts = {"quadratic sgd 32": facts["a"], "broken": "text"}
    describe(out, digits, "abc", "sqlite:///x.db", {"cells": facts})
    before = claim(both, out)
    assert before.changes == ("workloads: ['mlp/digits'] → ['quadratic', 'mlp/digits']",)
    assert before.cells == {"quadratic sgd 32": facts["quadratic sgd 32"]}
    describe(out, digits, "abc", "sqlite:///x.db", {"cells": {"quadratic sgd 100": {"objective": "val_metric"}}})
    with pytest.raises(InputError, match="it judges the cell 'quadratic sgd 32'"):
        claim(both, out)


def test_one_process_at_a_time_and_an_impossible_study_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "s"
    with owned(out), pytest.raises(InputError, match="another process"), owned(out):
        pass
    with pytest.raises(InputError, match="no"), owned(tmp_path / "t"):
        raise InputError("no")
    assert not (tmp_path / "t").exists()
