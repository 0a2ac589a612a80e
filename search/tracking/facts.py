"""What MLflow records of a study and its cells: plain values that can be sent to the writer's process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The writer's process must start fast: it needs neither torch nor the workloads.
    from phitune.search.study.cell import Cell
    from phitune.search.study.model import Study


# Heading of a study's description; `phitune analyze` puts its answers before it.
HEADING = "## What was searched"
_NEWLINE = "\n"


@dataclass(frozen=True)
class CellFacts:
    """What MLflow records of a cell.

    Attributes:
        shown: Shortest name within the study, such as ``mlp/digits T=64``; empty if it is the only cell.
        artifacts: The trials whose own files are logged: ``none``, ``replicates`` or ``all``.
    """

    workload: str
    optimizer: str
    budget: int
    full_budget: int
    objective: str
    mode: str
    metric_name: str
    metric_mode: str
    deterministic: bool
    shown: str
    artifacts: str = "none"

    @property
    def name(self) -> str:
        """Name of the cell's run."""
        return self.shown or f"{self.workload} T={self.budget}"


@dataclass(frozen=True)
class StudyFacts:
    """What MLflow records of a study.

    Attributes:
        name: The experiment's name.
        study_id: Unique among studies of the same name.
        yaml: The study file with every default filled in.
        note: Description in Markdown.
        families: Labels of the families that are compared.
        cells: Facts of each cell, by the cell's key; those of which the study has trials, though they were left out of
            it, among them.
    """

    name: str
    study_id: str
    yaml: str
    note: str
    families: tuple[str, ...]
    cells: dict[str, CellFacts]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> StudyFacts:
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**values, "cells": {key: CellFacts(**cell) for key, cell in values["cells"].items()}})


def facts_of(
    study: Study, study_id: str, shown_out: str, then: Study | None = None, known: Mapping[str, Any] | None = None
) -> StudyFacts:
    """The facts of a study.

    Args:
        study_id: Unique among studies of the same name.
        shown_out: The output directory, as a reader of the description should write it.
        then: The study as it was searched last, whose cells may have been left out since.
        known: Facts of cells as ``study.json`` holds them, by key, those left out earlier among them.
    """
    cells = {**_read(known or {}), **(_facts_of_cells(then) if then else {}), **_facts_of_cells(study)}
    families = tuple(dict.fromkeys(space.label for cell in study.cells for space in cell.families))
    note = _note(study, families, shown_out)
    return StudyFacts(study.name, study_id, study.to_yaml(), note, families, cells)


def _read(known: Mapping[str, Any]) -> dict[str, CellFacts]:
    """Facts of cells; without those of which some are missing, as in a file of another version."""
    names = {each.name for each in fields(CellFacts)}
    return {key: CellFacts(**values) for key, values in known.items() if values.keys() == names}


def _facts_of_cells(study: Study) -> dict[str, CellFacts]:
    cells = study.cells
    several_budgets = len({cell.budget for cell in cells}) > 1
    several_optimizers = len({cell.optimizer for cell in cells}) > 1
    several_workloads = len({cell.workload for cell in cells}) > 1

    def facts(cell: Cell) -> CellFacts:
        names = [
            cell.workload.label if several_workloads else "",
            cell.optimizer.label if several_optimizers else "",
            f"T={cell.budget}" if several_budgets else "",
        ]
        return CellFacts(
            workload=cell.workload.label,
            optimizer=cell.optimizer.label,
            budget=cell.budget,
            full_budget=cell.full_budget,
            objective=cell.objective,
            mode=cell.mode,
            metric_name=cell.metric_name,
            metric_mode=cell.metric_mode,
            deterministic=cell.deterministic,
            shown=" ".join(filter(None, names)),
            artifacts=cell.artifacts,
        )

    return {cell.key: facts(cell) for cell in cells}


def _note(study: Study, families: Sequence[str], shown_out: str) -> str:
    """The study's description in Markdown."""
    cells = study.cells
    stopping = (
        "never stopped early"
        if study.ladder is None
        else "stopped early where their end is not worth it"
        if study.early_stopping == "predict"
        else "stopped early by ASHA"
    )
    trials = f"Up to {study.most}" if study.auto else str(study.most)
    low, high = study.space.phi
    table = [["workload", "optimizer", "budget T", "of the full budget", "base LR", "objective"], ["---"] * 6]
    for cell in cells:
        share, ends = 100 * cell.budget / cell.full_budget, cell.base_lr
        settings = [f"{share:.3g} %", f"{ends[0]:g} to {ends[1]:g}", f"{cell.objective} ({cell.mode})"]
        table.append([cell.workload.label, cell.optimizer.label, str(cell.budget), *settings])
    return f"""{HEADING}

{trials} trials in each of {len(cells)} cells, {stopping}; then {study.replicates} replicates of every finalist \
with fresh seeds, trained to their end. Families: {", ".join(families)}. φ log-uniform in {low:g} to {high:g}. \
Trials are compared only inside a cell.

{_NEWLINE.join("| " + " | ".join(row) + " |" for row in table)}

- Below this run: a run a cell; below each, its trials, and a run a finalist with the mean and the spread of its \
replicates.
- Names of trials: family, its parameters, base LR, seed (0 explored; from 1 replicates of the finalists), cell.
- Status: FINISHED trained to its end; KILLED stopped early; FAILED diverged or failed (tag `phitune.reason`).
- `final/objective` compares the trials of a cell; early stopping judged `rung/1`, `rung/2`, …
- The study file with every default: artifact `study.yaml`. The line that started the search goes on with it.
- Answers: `phitune analyze {shlex.quote(shown_out)}`; then the report is an artifact here, its summary above this.
"""
