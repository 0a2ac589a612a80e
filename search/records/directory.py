"""A study's output directory: it holds one study, which may grow, and one process works on it at a time."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from phitune.search.study.model import Study, parse_study
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError
from phitune.trainables.uri import absolute, without_credentials

# Keys that may change between one run of a study and the next; its cells may become more too. Of those that may grow,
# the property that says how large they are.
_MAY_GROW = {"trials": "most", "replicates": "replicates"}
_MAY_CHANGE = ("failures", "resources", "population", "diagnostics", "warm_start")
_MAKE_CELLS = ("workloads", "budgets", "optimizers")


@contextmanager
def owned(out: Path) -> Iterator[None]:
    """Creates the directory and holds its lock for as long as the block runs.

    A directory created here is removed again if the block ends with an `InputError`.

    Raises:
        InputError: It cannot be created, or another process holds it.
    """
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("a")
    except OSError as error:
        raise InputError(f"--out: {str(out)!r} cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"--out: another process is at work on the study in {str(out)!r}") from error
        try:
            yield
        except InputError:
            if fresh:
                shutil.rmtree(out)
            raise


def claim(study: Study, out: Path) -> tuple[str | None, list[str]]:
    """Checks that the directory is fresh or holds this study, perhaps a smaller one.

    A study may grow by trials, replicates, budgets, workloads and optimizers; no cell may be lost.

    Returns:
        The id of the study in the directory, None for a fresh one; and its changes, a line each.

    Raises:
        InputError: The study there was started with something else.
    """
    if not (out / "study.json").exists():
        return None, []
    then = parse_study(yaml.safe_load((out / "study.yaml").read_text(encoding="utf-8")))
    changes = []
    for key in type(study).model_fields:
        before, now = getattr(then, key), getattr(study, key)
        if before == now:
            continue
        if key in _MAY_GROW and getattr(study, _MAY_GROW[key]) < getattr(then, _MAY_GROW[key]):
            raise _changed(key, before, now, out, "it may only grow")
        if key not in (*_MAY_GROW, *_MAY_CHANGE, *_MAKE_CELLS):
            raise _changed(key, before, now, out, "change it back, or give another --out")
        changes.append(f"{key}: {_shown(before)} → {_shown(now)}")
    cells = {cell.key for cell in study.cells}
    for cell in then.cells:
        if cell.key not in cells:
            key = next(key for key in _MAKE_CELLS if getattr(then, key) != getattr(study, key))
            raise _changed(key, getattr(then, key), getattr(study, key), out, f"the cell {cell.key!r} would be lost")
    return str(json.loads((out / "study.json").read_text(encoding="utf-8"))["study_id"]), changes


def describe(out: Path, study: Study, study_id: str, tracking_uri: str, opened: Mapping[str, str | None]) -> None:
    """Writes ``study.yaml``, and ``study.json``, which says where the results are.

    Args:
        opened: The run and experiment as `search.tracking.Tracker.open` returns them.
    """
    _write(out / "study.yaml", study.to_yaml())
    content = {
        "name": study.name,
        "study_id": study_id,
        "tracking_uri": without_credentials(absolute(tracking_uri)),
        **opened,
    }
    _write(out / "study.json", json.dumps(content, indent=2) + "\n")


def _write(path: Path, content: str) -> None:
    with whole_file(path) as fresh:
        fresh.write_text(content, encoding="utf-8")


def _changed(key: str, before: object, now: object, out: Path, remedy: str) -> InputError:
    return InputError(
        f"{key}: {_shown(now)} is not what the study in {str(out)!r} was started with ({_shown(before)}); {remedy}"
    )


def _shown(value: object) -> str:
    return repr(value.model_dump() if hasattr(value, "model_dump") else value)
