"""The project's Markdown pages and the code blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^ *```(\w*)")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_EXCERPT = re.compile(r"an excerpt of (\S+), which is")
_FILE = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: The word after the fence, empty without one.
        line: The line of its first code, from 1.
        runs: False if the line before it is a comment ``<!-- not run: why -->``.
        excerpt: The file of the repository whose lines these are, if that comment says so; else empty.
    """

    page: Path
    language: str
    line: int
    code: str
    runs: bool
    excerpt: str

    @property
    def name(self) -> str:
        """``docs/index.md:14``."""
        return f"{name(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block stands for, if its first line names one as ``# my_families.py``."""
        match = _FILE.match(self.code)
        return match[1] if match else None


def pages() -> list[Path]:
    """All Markdown pages but what `phitune analyze` and the benchmarks wrote."""
    top = [
        ROOT / page
        for page in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/NOTES.md", "examples/README.md")
    ]
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return [*top, *(page for page in docs if page.name != "report.md")]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[Block]:
    """The page's blocks of a language, in order."""
    return [block for block in _all_blocks(page) if block.language == language]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _all_blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence and start is None:
            start, language = number + 1, fence[1]
            why = _NOT_RUN.fullmatch(lines[number - 1].strip()) if number else None
            excerpt = _EXCERPT.fullmatch(why[1]) if why else None
        elif fence and start is not None:
            code = dedent("\n".join(lines[start:number]) + "\n")
            yield Block(page, language, start + 1, code, why is None, excerpt[1] if excerpt else "")
            start = None
