"""Pages are readable in an editor, and what they point at exists."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, name, pages, prose

LONGEST = 120
# Tags of MLflow runs, which look like modules.
_OF_RUNS = "cell family finalist kind phase reason status study_run traceback trial_id verdict"
TAGS = {f"phitune.{tag}" for tag in _OF_RUNS.split()}
each_page = pytest.mark.parametrize("page", pages(), ids=name)


@each_page
def test_lines_fit(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [f"{name(page)}:{i}" for i, line in enumerate(lines, 1) if len(line) > LONGEST]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if not linked.exists() or (anchor and anchor not in _anchors(linked)):
            broken.append(target)
    assert not broken


@each_page
def test_modules_and_names_exist(page: Path) -> None:
    dotted = set(re.findall(r"(?<![\w./-])(?:phitune|benchmarks)(?:\.[A-Za-z_]\w*)+", page.read_text(encoding="utf-8")))
    assert not {path for path in dotted - TAGS if not _resolves(path)}


@each_page
def test_files_exist(page: Path) -> None:
    paths = set(re.findall(r"`((?:search|trainables|analysis|benchmarks|tests|docs)/[\w./-]+\.\w+)`", prose(page)))
    assert not {path for path in paths if not (ROOT / path).exists()}


def _anchors(page: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _resolves(path: str) -> bool:
    """Whether a dotted path is a module, or a name in one."""
    *parents, last = path.split(".")
    try:
        if find_spec(path):
            return True
    except ModuleNotFoundError:
        pass
    try:
        return hasattr(import_module(".".join(parents)), last)
    except ModuleNotFoundError:
        return len(parents) > 1 and hasattr(_value(parents), last)


def _value(parents: list[str]) -> object:
    """A class or object by its dotted path; None if there is none."""
    try:
        return getattr(import_module(".".join(parents[:-1])), parents[-1], None)
    except ModuleNotFoundError:
        return None
