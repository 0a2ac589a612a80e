"""guidelines.json: reading one, and choosing the one that speaks of a workload."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from phitune.analysis.answers.budget_model import MEAN_LR, BudgetModel
from phitune.analysis.answers.cell import Cell
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.suggestion import did_you_mean

DEFAULT_PATTERN = "runs/*/report/guidelines.json"
# Names more alike than this are taken for a slip, unless they differ in digits alone (resnet8, resnet20).
ALIKE = 0.85


@dataclass(frozen=True)
class Regret:
    """Regret of recommendations for workloads that were left out of the fit, in per cent of the objective."""

    median: float
    worst: float


class Trend(NamedTuple):
    """The lines of a family's best value, of the mean LR that goes with it, and of another parameter's best value."""

    value: BudgetModel
    mean_lr: BudgetModel
    other: BudgetModel | None = None


@dataclass(frozen=True)
class GuidelinesFile:
    """A guidelines.json.

    Attributes:
        source: Its path.
        cells: Its cells.
        models: Its trends.
        transfer_regrets: By family, what its recommendations cost for workloads left out of the fit.
    """

    source: str
    cells: tuple[Cell, ...]
    models: tuple[BudgetModel, ...]
    transfer_regrets: Mapping[str, Regret]

    @classmethod
    def read(cls, path: Path) -> "GuidelinesFile":
        """Read a file.

        Raises:
            InputError: No such file, or not one that `phitune analyze` wrote; the message names the file and the field.
        """
        if not path.is_file():
            raise InputError(f"--guidelines: no file {str(path)!r}; phitune analyze writes guidelines.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("cells"), list) or not content["cells"]:
            raise InputError(f"--guidelines: {str(path)!r} is not a guidelines.json written by phitune analyze")
        try:
            cells = tuple(Cell.from_dict(values) for values in content["cells"])
        except InputError as error:
            raise InputError(f"--guidelines: {str(path)!r} has a cell {error}") from None
        try:
            models = tuple(BudgetModel.from_dict(m) for m in content.get("models", []))
        except (TypeError, AttributeError):
            raise InputError(
                f"--guidelines: {str(path)!r} has models of another version; run phitune analyze again"
            ) from None
        try:
            regrets = _transfer_regrets(content.get("validation") or {})
        except (TypeError, AttributeError, KeyError, ValueError):
            raise InputError(
                f"--guidelines: {str(path)!r} has a validation of another version; run phitune analyze again"
            ) from None
        return cls(str(path), cells, models, regrets)

    @property
    def labels(self) -> list[str]:
        """Labels of all workloads, sorted."""
        return sorted({cell.label for cell in self.cells})

    def of(self, label: str) -> list[Cell]:
        """The cells of a workload, by budget."""
        return sorted((cell for cell in self.cells if cell.label == label), key=lambda cell: cell.budget)

    def trend(self, family: str | None, workload: str | None, optimizer: str, near: int | None = None) -> Trend | None:
        """A family's trend on a workload, or the population's (workload None); None if none could be fitted.

        Of several, as where one parameter was searched at some budgets and two at others, that of the cells of the
        budget `near`, or of most budgets.
        """
        key = (family, workload, optimizer)
        fitted = [m for m in self.models if m.kind != "none" and (m.family, m.workload, m.optimizer) == key]
        # Of the cells in which the same was searched: a value, the mean LR, perhaps another value.
        starts = [i - 1 for i, m in enumerate(fitted) if i and m.quantity == MEAN_LR]
        groups = [Trend(*fitted[i:end]) for i, end in pairwise([*starts, len(fitted)])]
        return max(groups, key=lambda each: (near in each.value.budgets, len(each.value.budgets)), default=None)

    @property
    def has_population(self) -> bool:
        """Whether the file has a model of workloads that it does not know."""
        return any(m.workload is None for m in self.models)


def _transfer_regrets(validation: Mapping[str, Any]) -> dict[str, Regret]:
    first = validation.get("leave_workload_out") or {}
    by_family = {first.get("family", "uba"): first, **first.get("others", {})}
    return {
        family: Regret(float(regret["median"]), float(regret["worst"]))
        for family, each in by_family.items()
        # Where the objective crosses zero, its per cents are of something else.
        if each.get("relative", True) and (regret := each.get("regret"))
    }


def find(workload: str, guidelines: str | Path | None) -> tuple[GuidelinesFile, str | None]:
    """The file to use and the label of the workload in it; no label for a workload that no file knows.

    Args:
        workload: What the user wrote.
        guidelines: The file; by default the newest runs/*/report/guidelines.json that knows the workload, else the
            newest that speaks of workloads it does not know.

    Raises:
        InputError: No file, a damaged one, a workload that is misspelt, ambiguous, or about which nothing can be said.
    """
    if guidelines is not None:
        files = [GuidelinesFile.read(Path(guidelines))]
    else:
        paths = sorted(Path().glob(DEFAULT_PATTERN), key=lambda p: p.stat().st_mtime, reverse=True)
        if not paths:
            raise InputError(f"--guidelines: no {DEFAULT_PATTERN} here; run phitune analyze first, or name a file")
        files = [GuidelinesFile.read(path) for path in paths]
    for file in files:
        labels = _matches(file.labels, workload)
        if len(labels) > 1:
            raise InputError(f"--workload: {workload!r} may be any of: {', '.join(sorted(labels))}; name one in full")
        if labels:
            return file, labels[0]
    known = sorted({label for file in files for label in file.labels})
    general = next((file for file in files if file.has_population), None)
    if general is None or _slip(workload, known):
        hint = did_you_mean(workload, known, cutoff=0.4)
        raise InputError(f"--workload: no evidence for {workload!r};{hint} there is for: {', '.join(known)}")
    return general, None


def _matches(labels: Iterable[str], workload: str) -> list[str]:
    """The label equal to the user's text, else those of the same name that have at least its parameters."""
    query = Spec.parse(workload, "--workload")
    specs = {label: Spec.parse(label) for label in labels}
    same = [label for label, spec in specs.items() if spec == query]
    return same or [
        label
        for label, spec in specs.items()
        if spec.name == query.name and query.params.items() <= spec.params.items()
    ]


def _slip(workload: str, known: list[str]) -> bool:
    """Whether the text looks like a known workload misspelt rather than another one."""
    name = Spec.parse(workload, "--workload").name
    names = {Spec.parse(label).name for label in known} - {name}
    return any(_letters(near) != _letters(name) for near in get_close_matches(name, names, n=3, cutoff=ALIKE))


def _letters(name: str) -> str:
    return re.sub(r"\d+", "#", name)
