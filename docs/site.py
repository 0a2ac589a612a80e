"""A hook of mkdocs: what pages link to outside docs/, such as examples, is on the site too, below repository/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
#: Code that is shown as a page.
LANGUAGES = {".py": "python", ".yaml": "yaml"}
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the files outside docs/ that pages link to, and those that these link to."""
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for link in _LINK.findall((ROOT / _in_repository(page)).read_text(encoding="utf-8")):
            target = _on_site(page, link)
            source = ROOT / _in_repository(target)
            if not target.startswith("repository/") or not source.is_file() or files.get_file_from_path(target):
                continue
            if source.suffix in LANGUAGES:
                code = f"# {source.name}\n\n```{LANGUAGES[source.suffix]}\n{source.read_text(encoding='utf-8')}```\n"
                files.append(File.generated(config, target, content=code))
            else:
                files.append(File.generated(config, target, abs_src_path=str(source)))
                waiting += [target] if source.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Points links that cross the border of docs/ at the files' places on the site."""
    here = page.file.src_uri
    start = posixpath.dirname(here) or "."
    return _LINK.sub(lambda match: posixpath.relpath(_on_site(here, match[1]), start), markdown)


def _in_repository(uri: str) -> str:
    """The path in the repository of a file of the site."""
    if not uri.startswith("repository/"):
        return f"docs/{uri}"
    path = uri.removeprefix("repository/")
    code = path.removesuffix(".md")
    return code if Path(code).suffix in LANGUAGES else path


def _on_site(page: str, link: str) -> str:
    """The place on the site of a file to which a page of the site links as it does in the repository."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(page)), link))
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}.md" if Path(path).suffix in LANGUAGES else f"repository/{path}"
