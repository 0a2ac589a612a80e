"""Mistakes in a user's own workload: one line that names it, whatever its code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from phitune.search.study.model import parse_study
from phitune.trainables.errors import InputError

MODULE = """
from phitune.trainables.workloads import Workload
from phitune.trainables.workloads.digits import MlpDigits


class Needs(MlpDigits):
    def __init__(self, width: int, depth: int, batch: int = 8) -> None:
        self.width, self.depth = width, depth


class Positional(MlpDigits):
    def __init__(self, part, /) -> None: ...


class Raises(MlpDigits):
    def __init__(self) -> None:
        raise KeyError("no such\\nkey")


class Exits(MlpDigits):
    def __init__(self) -> None:
        raise SystemExit


class Refuses(MlpDigits):
    def check(self, optimizer) -> None:
        raise RuntimeError("not today")


class Leaves(MlpDigits):
    def check(self, optimizer) -> None:
        raise SystemExit(3)


class Abstract(Workload): ...


class NoBudget(Workload):
    base_lr = {"sgd": (0.1, 1.0)}

    def learner(self, optimizer, seed, horizon, device="cpu"): ...


class NoRange(NoBudget):
    full_budget = 10
    base_lr = {"sgd": 0.1}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"users_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "Needs"}, "workloads.{0}:Needs.width: missing; {0}:Needs has no default for it"),
        ({"name": "Needs", "width": 3}, "workloads.{0}:Needs.depth: missing; {0}:Needs has no default for it"),
        ({"name": "Positional"}, "workloads: {0}:Positional cannot be used (TypeError: "),
        ({"name": "Raises"}, "workloads: {0}:Raises cannot be used (KeyError: 'no such\\nkey'; {0}.py:17)"),
        ({"name": "Exits"}, "workloads: {0}:Exits cannot be used (it calls sys.exit(None))"),
        ({"name": "Refuses"}, "workloads: {0}:Refuses cannot be used (RuntimeError: not today; {0}.py:27)"),
        ({"name": "Leaves"}, "workloads: {0}:Leaves cannot be used (it calls sys.exit(3))"),
        ({"name": "Abstract"}, "workloads: {0}:Abstract cannot be used (TypeError: Can't instantiate abstract class"),
        ({"name": "NoBudget"}, "workloads: {0}:NoBudget cannot be used (AttributeError: 'NoBudget' object has no"),
        ({"name": "NoRange"}, "workloads: {0}:NoRange cannot be used (TypeError: base_lr['sgd'] is 0.1; it must be"),
    ],
)
def test_one_line_names_the_workload_and_what_is_wrong(module: str, entry: dict[str, object], words: str) -> None:
    entry = {**entry, "name": f"{module}:{entry['name']}"}
    with pytest.raises(InputError) as error:
        parse_study({"name": "s", "workloads": [entry], "budgets": [20]})
    assert str(error.value).startswith(words.format(module))
    assert "\n" not in str(error.value)


def test_with_all_its_arguments_a_workload_is_built(module: str) -> None:
    entry = {"name": f"{module}:Needs", "width": 3, "depth": 2}
    (cell,) = parse_study({"name": "s", "workloads": [entry], "budgets": [20]}).cells
    assert cell.workload.params == {"width": 3, "depth": 2}
