"""guidelines.json found, read, and asked for a workload. Light: no pandas, MLflow or SciPy."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from phitune.analysis.answers.budget_model import BudgetModel, Quantity
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.suggestion import did_you_mean

DEFAULT_PATTERN = "runs/*/report/guidelines.json"
# Names more alike than this are taken for a slip, unless they differ in digits alone (resnet8, resnet20).
ALIKE = 0.85
NEEDED = ("workload", "optimizer", "budget", "family", "phi", "base_lr")
Cell = dict[str, Any]


@dataclass(frozen=True)
class GuidelinesFile:
    """A guidelines.json.

    Attributes:
        source: Its path.
        cells: Its cells, each with a `label`.
        models: Its trends.
        validation: What its recommendations cost where they were not fitted.
    """

    source: str
    cells: tuple[Cell, ...]
    models: tuple[BudgetModel, ...]
    validation: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "GuidelinesFile":
        """From a path.

        Raises:
            InputError: No such file, or not one that `phitune analyze` wrote.
        """
        if not path.is_file():
            raise InputError(f"--guidelines: no file {str(path)!r}; phitune analyze writes guidelines.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("cells"), list) or not content["cells"]:
            raise InputError(f"--guidelines: {str(path)!r} is not a guidelines.json written by phitune analyze")
        for cell in content["cells"]:
            missing = [k for k in NEEDED if k not in cell]
            if missing:
                raise InputError(f"--guidelines: {str(path)!r} has a cell without {missing[0]!r}")
            cell.setdefault("label", Spec.of(cell["workload"]).label)
        try:
            models = tuple(BudgetModel.from_dict(m) for m in content.get("models", []))
        except (TypeError, AttributeError):
            raise InputError(
                f"--guidelines: {str(path)!r} has models of another version; run phitune analyze again"
            ) from None
        return cls(str(path), tuple(content["cells"]), models, content.get("validation") or {})

    @property
    def labels(self) -> list[str]:
        """All workloads."""
        return sorted({str(c["label"]) for c in self.cells})

    def of(self, label: str) -> list[Cell]:
        """The cells of a workload, by budget."""
        return sorted((c for c in self.cells if c["label"] == label), key=lambda c: int(c["budget"]))

    def model(self, quantity: Quantity, workload: str | None, optimizer: str) -> BudgetModel | None:
        """A workload's trend, or the population's (None); None if there is none that says anything."""
        wanted = (quantity, workload, optimizer)
        found = (m for m in self.models if (m.quantity, m.workload, m.optimizer) == wanted and m.kind != "none")
        return next(found, None)

    @property
    def has_population(self) -> bool:
        """Whether it says anything about workloads that it does not know."""
        return any(m.workload is None for m in self.models)


def find(workload: str, guidelines: str | Path | None) -> tuple[GuidelinesFile, str | None]:
    """The file to use and the label in it that the given text means; None for a workload that no file knows.

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
    """Labels that the given text may mean: the very one, else those of that name with at least those parameters."""
    asked = Spec.parse(workload, "--workload")
    specs = {label: Spec.parse(label) for label in labels}
    same = [label for label, spec in specs.items() if spec == asked]
    return same or [
        label
        for label, spec in specs.items()
        if spec.name == asked.name and asked.params.items() <= spec.params.items()
    ]


def _slip(workload: str, known: list[str]) -> bool:
    """Whether the text looks like a known workload misspelt rather than another one."""
    name = Spec.parse(workload, "--workload").name
    names = {Spec.parse(label).name for label in known} - {name}
    return any(_letters(near) != _letters(name) for near in get_close_matches(name, names, n=3, cutoff=ALIKE))


def _letters(name: str) -> str:
    return re.sub(r"\d+", "#", name)
