"""A hook of mkdocs: what pages link to outside docs/, such as examples, is on the site too, below repository/."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the files outside docs/ that pages link to, and those that these link to."""
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for link in _LINK.findall((ROOT / _in_repository(page)).read_text(encoding="utf-8")):
            target = _on_site(page, link)
            source = ROOT / _in_repository(target)
            if target.startswith("repository/") and source.is_file() and not files.get_file_from_path(target):
                files.append(File.generated(config, target, abs_src_path=str(source)))
                waiting += [target] if source.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Points links that cross the border of docs/ at the files' places on the site."""
    here = page.file.src_uri
    return _LINK.sub(lambda match: os.path.relpath(_on_site(here, match[1]), posixpath.dirname(here) or "."), markdown)


def _in_repository(uri: str) -> str:
    """The path in the repository of a file of the site."""
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"


def _on_site(page: str, link: str) -> str:
    """The place on the site of a file to which a page of the site links as it does in the repository."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(page)), link))
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"
