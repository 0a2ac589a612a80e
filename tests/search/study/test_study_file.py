"""The file of a study, as a user writes it: valid files, and the errors of invalid ones."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import phitune.search
from phitune.search.study.file import read_study
from phitune.search.study.model import parse_study
from phitune.trainables.errors import InputError

GOOD: dict[str, Any] = {"name": "s", "workloads": ["quadratic"]}


def test_off_is_a_word_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("name: s\nworkloads: [quadratic]\npopulation: off\n", encoding="utf-8")
    study = read_study(file)
    assert study.population == "off"
    assert read_study(file, ["population=auto"]).population == "auto"
    assert read_study(file, ["population=off"]) == study == parse_study(yaml.safe_load(study.to_yaml()))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    study = parse_study({**GOOD, "space": {"base_lr": [0.01, 2]}, "budgets": [7, "50%"]})
    (tmp_path / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    assert read_study(tmp_path / "study.yaml") == study


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**GOOD, "trials": 30}), encoding="utf-8")
    study = read_study(file, ["trials=12", "space.phi=[0.5, 5]", "families=[uba]"])
    assert (study.trials, study.space.phi, study.families) == (12, (0.5, 5.0), ["uba"])


def test_shipped_studies_are_valid() -> None:
    shipped = list((Path(phitune.search.__file__).parent / "studies").glob("*.yaml"))
    assert "quickstart.yaml" in {file.name for file in shipped}
    for file in shipped:
        assert read_study(file).cells
        assert read_study(Path(file.stem)) == read_study(file)


def test_a_users_file_is_read_rather_than_a_shipped_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    assert read_study(Path("quickstart")).name == "s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", "is not YAML"),
        ("- 1", "must hold keys and values"),
        (b"\xff\xfe\x00", "study file"),
        ("name: a\nworkloads: [quadratic]\nname: b", "name: duplicate key in the study file, again in line 3"),
        ("name: a\nresources: {cpu: 1, cpu: 2}", "cpu: duplicate key in the study file, again in line 2"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, content: str | bytes, message: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_study(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_study(tmp_path / "none.yaml")


@pytest.mark.parametrize("override", ["trials", "=3", "name.x=3", "trials=[1"])
def test_bad_overrides_are_told(tmp_path: Path, override: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    with pytest.raises(InputError, match="--set: "):
        read_study(file, [override])
