"""A cell: the unit inside which trials are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from phitune.search.study.families import FamilySpace
from phitune.search.study.sections import Resources
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.function import OWN_OPTIMIZER


@dataclass(frozen=True)
class Together:
    """A population: the number of trials that train together, and their resources together."""

    rows: int
    resources: Resources


@dataclass(frozen=True)
class Cell:
    """Workload × optimizer × budget; trials are compared only inside a cell.

    Attributes:
        budget: Iterations T.
        full_budget: Iterations of the workload's full recipe.
        objective: ``val_loss`` or ``val_metric``, better in the direction ``mode``.
        base_lr: Range of the base LR.
        deterministic: Whether seeds change nothing, so that one replicate is enough.
        families: The families that are searched.
        resources: Resources of a trial.
        artifacts: The trials of which MLflow gets the files that a function wrote: ``none``, ``replicates``, ``all``.
        together: The population in which the trials train; None if they train alone.
    """

    workload: Spec
    optimizer: Spec
    budget: int
    full_budget: int
    objective: str
    mode: Literal["min", "max"]
    metric_name: str
    metric_mode: Literal["min", "max"]
    base_lr: tuple[float, float]
    deterministic: bool
    families: tuple[FamilySpace, ...]
    resources: Resources
    artifacts: Literal["none", "replicates", "all"] = "none"
    together: Together | None = None

    @property
    def key(self) -> str:
        return f"{self.group} {self.budget}"

    @property
    def group(self) -> str:
        """Workload and optimizer: what cells have in common that are searched together."""
        return f"{self.workload.label} {self.optimizer.label}"

    @property
    def slug(self) -> str:
        """The key in a form that ids and file names allow."""
        return re.sub(r"[^\w.,=()%+-]", "-", f"{self.workload.label}.{self.optimizer.label}.{self.budget}")

    @property
    def is_function(self) -> bool:
        """Whether the workload is a function, which makes its optimizer itself."""
        return self.optimizer == OWN_OPTIMIZER
