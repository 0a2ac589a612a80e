"""A study's output directory: it holds one study, which may grow, and one process works on it at a time."""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phitune.search.study.families import FamilySpace
from phitune.search.study.model import Study, parse_study
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError
from phitune.trainables.uri import absolute, without_credentials

# Keys that may change between one run of a study and the next; of its cells one must stay.
_WHAT_IS_SEARCHED = ("space", "families", "baselines")
_MAY_CHANGE = ("trials", "replicates", "failures", "resources", "population", "diagnostics", "warm_start")
_MAKE_CELLS = ("workloads", "budgets", "optimizers")
# The first line of ``study.yaml``, where the id survives the loss of ``study.json``.
_ID = "# study_id: "


@dataclass(frozen=True)
class Claim:
    """What a study's directory held before.

    Attributes:
        study_id: The id of the study there; None if the directory is fresh.
        changes: The study's changes since, a line each.
        moved: Whether other families or ranges are searched than before.
        opened: What `study.json` says of MLflow: the run and the experiment.
        study: The study as it was searched last; None if the directory is fresh.
        cells: What `study.json` says of each cell, by key, cells that were left out since among them.
        damage: A line that says how `study.json` is damaged and what becomes of it; empty if it is whole.
    """

    study_id: str | None = None
    changes: tuple[str, ...] = ()
    moved: bool = False
    opened: Mapping[str, Any] = field(default_factory=dict)
    study: Study | None = None
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    damage: str = ""


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


def claim(study: Study, out: Path) -> Claim:
    """Checks that the directory is fresh or holds this study, perhaps another form of it.

    Its ranges, families, baselines, trials and replicates may change, and cells may be added or left out. Changes
    nothing.

    Raises:
        InputError: The study there was started with something else, or its ``study.yaml`` is damaged.
    """
    path = out / "study.json"
    if not path.exists() and not (out / "trials.jsonl").exists():
        return Claim()
    notes, then = _notes(path), _study(out / "study.yaml")
    lines: list[str] = []
    for key in type(study).model_fields:
        before, now = getattr(then, key), getattr(study, key)
        if before == now or key in _WHAT_IS_SEARCHED:
            continue
        if key not in (*_MAY_CHANGE, *_MAKE_CELLS):
            raise _changed(key, before, now, out, "change it back, or give another --out")
        lines.append(f"{key}: {_shown(before)} → {_shown(now)}")
    known = notes.get("cells") if notes else {}
    known = {key: facts for key, facts in known.items() if isinstance(facts, dict)} if isinstance(known, dict) else {}
    _require_same_judgement(study, then, known, out)
    cells, searched = {cell.key: cell for cell in study.cells}, list[str]()
    stay = [cell for cell in then.cells if cell.key in cells]
    if not stay:
        key = next(key for key in _MAKE_CELLS if getattr(then, key) != getattr(study, key))
        remedy = "none of its cells would stay; give another --out"
        raise _changed(key, getattr(then, key), getattr(study, key), out, remedy)
    lines += _label_changes("cells", [cell.key for cell in then.cells], [cell.key for cell in stay])
    for cell in stay:
        searched += _changes_of_families(cell.families, cells[cell.key].families)
    searched += [*_space_changes(then, study), *_label_changes("families", _labels(then), _labels(study))]
    lines += [*dict.fromkeys(searched), *_label_changes("baselines", then.baselines, study.baselines)]
    opened = {key: (notes or {}).get(key) for key in ("parent_run_id", "experiment_id")}
    study_id, damage = (str(notes["study_id"]), "") if notes else _recovered(out)
    return Claim(study_id, tuple(lines), bool(searched), opened, then, known, damage)


def describe(out: Path, study: Study, study_id: str, tracking_uri: str, more: Mapping[str, Any]) -> None:
    """Writes ``study.yaml``, and ``study.json``, which says where the results are; keeps one that is damaged.

    Args:
        more: Further keys of ``study.json``: the run and experiment as `search.tracking.Tracker.open` returns them,
            and the cells, by key, for `phitune.analysis`, which reads trials that MLflow lacks.
    """
    _write(out / "study.yaml", f"{_ID}{study_id}\n{study.to_yaml()}")
    path = out / "study.json"
    if path.exists() and _notes(path) is None:
        path.replace(_damaged(path))
    content = {
        "name": study.name,
        "study_id": study_id,
        "tracking_uri": without_credentials(absolute(tracking_uri)),
        **more,
    }
    _write(path, json.dumps(content, indent=2) + "\n")


def _notes(path: Path) -> dict[str, Any] | None:
    """What ``study.json`` says; None if it is missing or damaged."""
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        return dict(notes) if isinstance(notes["study_id"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _damaged(path: Path) -> Path:
    """Where a damaged ``study.json`` is kept."""
    return path.with_name(f"{path.name}.damaged")


def _recovered(out: Path) -> tuple[str, str]:
    """The study's id where ``study.json`` does not tell it, a new one if need be, and a line for the user."""
    path = out / "study.json"
    line = f"{path} was {'damaged' if path.exists() else 'missing'} and is written anew"
    line += f"; what was there is in {_damaged(path).name}" if path.exists() else ""
    with (out / "study.yaml").open(encoding="utf-8") as file:
        first = file.readline()
    if first.startswith(_ID):
        return first.removeprefix(_ID).strip(), line
    return (
        uuid.uuid4().hex,
        f"{line}; the study's id is lost, so that MLflow gets another run of it with all its trials",
    )


def _study(path: Path) -> Study:
    """The study as it was searched last.

    Raises:
        InputError: The file is missing or damaged; the message names the line.
    """
    remedy = "put it back; the study's run in MLflow has it as an artifact"
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        if not isinstance(values, dict):
            raise ValueError("it holds no keys")
        return parse_study(values)
    except yaml.YAMLError as error:
        raise InputError(f"--out: {str(path)!r}: line {_line_of(error, text)} is no YAML; {remedy}") from error
    except InputError as error:
        key = str(error).partition(":")[0].partition(".")[0]
        numbers = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(f"{key}:")]
        where = f": line {numbers[-1]}" if numbers else ""
        raise InputError(f"--out: {str(path)!r}{where}: {error}; {remedy}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--out: {str(path)!r} cannot be read ({reason}); {remedy}") from error


def _require_same_judgement(study: Study, then: Study, known: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    """Refuses another objective for a workload and optimizer, whose trials are compared or are evidence."""
    judged = {key.rpartition(" ")[0]: (facts.get("objective"), facts.get("mode")) for key, facts in known.items()}
    judged |= {cell.group: (cell.objective, cell.mode) for cell in then.cells}
    for cell in study.cells:
        now = cell.objective, cell.mode
        before = judged.get(cell.group, now)
        if before != now:
            raise _changed("workloads", before, now, out, f"it judges the cell {cell.key!r}; change it back")


def _line_of(error: yaml.YAMLError, text: str) -> int:
    if not isinstance(error, yaml.MarkedYAMLError):
        # A character that YAML does not allow has a position alone.
        return text.count("\n", 0, getattr(error, "position", 0)) + 1
    # A line without a colon is noticed in the next one.
    mark = error.context_mark if error.context == "while scanning a simple key" else error.problem_mark
    return int(mark.line) + 1 if mark is not None else 1


def _changes_of_families(before: Iterable[FamilySpace], now: Iterable[FamilySpace]) -> Iterator[str]:
    """Parameters that families search now or search no more.

    Raises:
        InputError: A label stood for something else before.
    """
    meanings = {space.label: space for space in before}
    for space in now:
        then = meanings.get(space.label, space)
        moved = {key for key in {*then.fixed, *space.fixed} if then.fixed.get(key) != space.fixed.get(key)}
        if then.name != space.name or moved - {*then.searched, *space.searched}:
            raise InputError(
                f"families: {space.label!r} was {_described(then)} before and is {_described(space)} now; give the new "
                "one a `label` of its own"
            )
        for key in sorted({*then.searched} ^ {*space.searched}):
            yield f"families: {space.label} searches {key}{'' if key in space.searched else ' no more'}"


def _described(space: FamilySpace) -> str:
    fixed = ", ".join(f"{key} {value}" for key, value in space.fixed.items())
    return f"{space.name} with {fixed}" if fixed else space.name


def _labels(study: Study) -> list[str]:
    return list(dict.fromkeys(space.label for cell in study.cells for space in cell.families))


def _label_changes(key: str, before: Iterable[str], now: Iterable[str]) -> list[str]:
    added, left_out = [each for each in now if each not in before], [each for each in before if each not in now]
    parts = [f"{', '.join(labels)} {word}" for labels, word in ((added, "added"), (left_out, "left out")) if labels]
    return [f"{key}: {'; '.join(parts)}"] if parts else []


def _space_changes(then: Study, now: Study) -> list[str]:
    """The ranges that changed, and the parameters that are searched now or no more."""
    before, after = ({"base_lr": study.space.base_lr, **study.space.parameters} for study in (then, now))
    lines = []
    for key in {**before, **after}:
        low, high = before.get(key), after.get(key)
        if low != high:
            lines.append(f"space.{key}: {_range(key, low)} → {_range(key, high)}")
    return lines


def _range(key: str, ends: tuple[float, float] | None) -> str:
    if ends is not None:
        return f"[{ends[0]:g}, {ends[1]:g}]"
    return "the workload's own" if key == "base_lr" else "not searched"


def _write(path: Path, content: str) -> None:
    with whole_file(path) as fresh:
        fresh.write_text(content, encoding="utf-8")


def _changed(key: str, before: object, now: object, out: Path, remedy: str) -> InputError:
    return InputError(
        f"{key}: {_shown(now)} is not what the study in {str(out)!r} was started with ({_shown(before)}); {remedy}"
    )


def _shown(value: object) -> str:
    return repr(value.model_dump() if hasattr(value, "model_dump") else value)
