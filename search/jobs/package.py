"""The package that is sent to the cluster: the working directory with the user's own modules, and the checked study.

Ray packs a folder by itself, but the study would have to be written into the user's folder to travel in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pathspec import GitIgnoreSpec

from phitune.trainables.errors import InputError

# Where the study lies in the package.
STUDY_FILE = ".phitune/study.yaml"
_LEFT_OUT = {".phitune", ".venv", "venv", ".git", "runs", "mlruns", "__pycache__", "node_modules"}
_MOST_BYTES = 100_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


def package(folder: Path, study_yaml: str, target: Path) -> None:
    """Writes the package, a zip file; the same content makes the same file.

    Left out are virtual environments, ``.git``, ``runs``, ``mlruns``, caches, and what a ``.gitignore`` or
    ``.rayignore`` in the folder names.

    Raises:
        InputError: The folder holds more than 100 MB, or a file of it cannot be read.
    """
    total = 0
    with ZipFile(target, "w", ZIP_DEFLATED) as zipped:
        zipped.writestr(ZipInfo(STUDY_FILE, _EPOCH), study_yaml)
        try:
            for path in _files(folder, [], {folder.resolve()}):
                total += path.stat().st_size
                if total > _MOST_BYTES:
                    raise InputError(
                        f"working directory: {str(folder)!r} holds more than {_MOST_BYTES // 10**6} MB to send; run "
                        "phitune where the study and its own modules are, or name what stays here in a .rayignore"
                    )
                entry = ZipInfo.from_file(path, str(path.relative_to(folder)))
                entry.date_time, entry.compress_type = _EPOCH, ZIP_DEFLATED
                zipped.writestr(entry, path.read_bytes())
        except OSError as error:
            raise InputError(f"working directory: cannot read {error.filename!r} ({error.strerror})") from error


def _files(folder: Path, ignored: Sequence[tuple[Path, GitIgnoreSpec]], above: set[Path]) -> Iterator[Path]:
    """The regular files below a folder, but for what its ignore files and those above it name."""
    ignored = [*ignored, *_ignored_in(folder)]
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir()
        if path.name in _LEFT_OUT or any(
            spec.match_file(f"{path.relative_to(base)}{'/' if is_folder else ''}") for base, spec in ignored
        ):
            continue
        # A link back to where it is below would never end.
        if is_folder and path.resolve() not in above:
            yield from _files(path, ignored, above | {path.resolve()})
        elif path.is_file():
            yield path


def _ignored_in(folder: Path) -> Iterator[tuple[Path, GitIgnoreSpec]]:
    for file in (folder / ".gitignore", folder / ".rayignore"):
        if file.is_file():
            yield folder, GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines())
