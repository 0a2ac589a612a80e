"""docs/reference/schedules.md: its tables and its figure have every family, its remarks are true."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from phitune.analysis.report.schedules_figure import save_schedules, schedules_figure
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import families, family, schedule
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/reference/schedules.md").read_text(encoding="utf-8")


def rows(columns: int) -> list[list[str]]:
    """The rows of the tables with so many columns, heads included."""
    lines = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip(" |") for cell in line] for line in lines if len(line) == columns]


def test_the_table_of_profiles_has_every_family_in_order() -> None:
    assert [row[0].strip("`") for row in rows(3)[1:]] == families()


def test_the_table_of_parameters_has_all_with_their_ranges() -> None:
    stated = {(row[0].strip("`"), key): row[3] for row in rows(4)[1:] for key in re.findall(r"`(\w+)`", row[1])}
    assert set(stated) == {
        (name, key) for name in families() for key in {*family(name).own_fields(), *family(name).parameters}
    }
    for (name, key), interval in stated.items():
        parameter = family(name).parameters.get(key)
        ends = [float(end) for end in interval.strip("[]").split(", ") if end]
        assert ends == ([parameter.low, parameter.high] if parameter else []), f"{name}.{key}"


def test_the_table_of_parameters_has_their_defaults() -> None:
    for name, keys, stated, _ in rows(4)[1:]:
        cls = family(name.strip("`"))
        for key, value in zip(re.findall(r"`(\w+)`", keys), _split(keys, stated), strict=True):
            default = None if key in cls.required() else cls.__dataclass_fields__[key].default
            assert _plain(value) == _plain(default), f"{name}.{key}"


def test_the_closed_loop_acts_as_the_comment_says() -> None:
    plateau = schedule("plateau", patience=1, checks=4)
    np.testing.assert_array_equal(plateau.check_steps(100), [25, 50, 75, 100])
    np.testing.assert_allclose(plateau.u([0, 50, 74, 75, 99], 100, [1.0] * 3), [1, 1, 1, 0.1, 0.1])


def test_the_figure_shows_every_family() -> None:
    figure: Figure = schedules_figure()
    legends = [legend for axis in figure.axes if (legend := axis.get_legend())]
    texts = [axis.title for axis in figure.axes] + [text for legend in legends for text in legend.get_texts()]
    labels = " ".join(text.get_text() for text in texts)
    for name in families():
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", labels), name


def test_the_figure_is_written_where_asked(tmp_path: Path) -> None:
    save_schedules(tmp_path / "all.svg")
    assert (tmp_path / "all.svg").stat().st_size > 10_000
    with pytest.raises(InputError, match="--plot"):
        save_schedules(tmp_path / "all.txt")
    with pytest.raises(InputError, match="cannot be written"):
        save_schedules(tmp_path / "nowhere" / "all.png")


def _split(keys: str, stated: str) -> list[str]:
    """The defaults of a row: one for each of its keys."""
    return stated.split(", ") if keys.count("`") > 2 else [stated]


def _plain(value: object) -> str:
    """A default as text, without the alternatives in brackets; numbers compare by value."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    text = re.sub(r" \(.*\)", "", str(value)).lower()
    return f"{float(text):g}" if re.fullmatch(r"[\d.e-]+", text) else text
