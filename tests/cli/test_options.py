"""The console of the commands."""

from __future__ import annotations

import pytest
from rich.table import Table

from phitune.cli.options import console


def test_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("69.8 % [at most 98.9] of the iterations", "To go on: phitune search s.yaml --set families=[uba,rex]")
    table = Table("[uba]")
    table.add_row("[at least 2]")
    for each in (*lines, table):
        console().print(each)
    printed = capsys.readouterr().out
    assert all(line in printed for line in (*lines, "[uba]", "[at least 2]"))
