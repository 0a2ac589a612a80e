"""The site of docs/ is built without a warning, and its page of commands has all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from phitune.cli import app
from tests.docs.pages import ROOT
from tests.system.harness.requirements import require_packages

COMMANDS = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")


@pytest.mark.full
def test_the_site_is_built_and_holds_what_pages_link_to(tmp_path: Path) -> None:
    """mkdocs says of each link and anchor whether it leads somewhere on the site; --strict makes that an error."""
    require_packages("mkdocs", "material", "mkdocstrings", extra="docs")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    build = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    example = (tmp_path / "repository/examples/03_own_loop.py/index.html").read_text(encoding="utf-8")
    assert "Your own training loop" in example
    api = (tmp_path / "reference/python/index.html").read_text(encoding="utf-8")
    assert "Whether to report after" in api, "docstrings of phitune.Trial"


def test_the_page_of_commands_has_all_commands_and_options() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"`phitune {name}" in COMMANDS
        for parameter in command.params:
            options = [option for option in parameter.opts if option.startswith("--") and option != "--help"]
            assert all(f"`{option}" in COMMANDS or f" {option}" in COMMANDS for option in options), (name, options)
