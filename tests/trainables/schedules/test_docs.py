"""docs/schedules.md: its code runs, its table and its figure have every family."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from phitune.analysis.report.figures.schedules import save_schedules, schedules_figure
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import families, family, schedule

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
FILES = {block.splitlines()[0].removeprefix("# "): block for block in BLOCKS if re.match(r"# \w+\.py\n", block)}


def test_the_code_runs() -> None:
    names: dict[str, object] = {}
    for block in BLOCKS:
        if block not in FILES.values():
            exec(block, names)
    assert len(names["refined"].values) == 101  # type: ignore[attr-defined]
    expected = [1, 1, 1, 0.1, 0.1]
    np.testing.assert_allclose(
        schedule("plateau", patience=1, checks=4).u([0, 50, 74, 75, 99], 100, [1.0] * 3), expected
    )


def test_a_family_of_ones_own_passes_its_conformance_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, block in FILES.items():
        (tmp_path / name).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    suite = import_module("test_my_families").TestCircle()
    tests = [name for name in dir(suite) if name.startswith("test_")]
    assert len(tests) > 10
    for name in tests:
        getattr(suite, name)()


def test_the_table_has_every_family_and_its_ranges() -> None:
    rows = {row[0].strip("` "): row[2] for line in GUIDE.splitlines() if len(row := line.strip("|").split("|")) == 4}
    assert [name for name in rows if name in families()] == families()
    for name in families():
        for key in family(name).own_fields():
            assert f"`{key}`" in rows[name]
        for key, parameter in family(name).parameters.items():
            stated = re.search(rf"`{key}`[^\[;]*\[([^,]+), ([^\]]+)\]", rows[name])
            assert stated, f"{name}.{key}"
            assert [float(end) for end in stated.groups()] == [parameter.low, parameter.high]


def test_the_figure_shows_every_family() -> None:
    figure: Figure = schedules_figure()
    shown = " ".join(
        text.get_text()
        for axis in figure.axes
        for text in (axis.title, *(axis.get_legend().get_texts() if axis.get_legend() else []))
    )
    for name in families():
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", shown), name


def test_the_figure_is_written_where_asked(tmp_path: Path) -> None:
    save_schedules(tmp_path / "all.svg")
    assert (tmp_path / "all.svg").stat().st_size > 10_000
    with pytest.raises(InputError, match="--plot"):
        save_schedules(tmp_path / "all.txt")
    with pytest.raises(InputError, match="cannot be written"):
        save_schedules(tmp_path / "nowhere" / "all.png")
