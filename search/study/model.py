"""The study file as a value: the cells to search and how; each mistake is one clear line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StrictInt, StrictStr, ValidationError, field_validator

from phitune.search.study.cell import Cell
from phitune.search.study.complaints import one_line
from phitune.search.study.families import FamilySpace, family_spaces
from phitune.search.study.sections import (
    Asha,
    Auto,
    Composition,
    Diagnostics,
    Failures,
    FunctionEntry,
    Resources,
    Section,
    Space,
)
from phitune.trainables.errors import InputError
from phitune.trainables.percentage import percentage
from phitune.trainables.schedules import families, family
from phitune.trainables.spec import Spec
from phitune.trainables.suggestion import did_you_mean
from phitune.trainables.user_class import users_code
from phitune.trainables.workloads import Workload, workload
from phitune.trainables.workloads.base import schedule_free
from phitune.trainables.workloads.function import OWN_OPTIMIZER, function, is_function
from phitune.trainables.workloads.registry import parameters

_MOST_ITERATIONS = 100_000_000
_MOST_TOGETHER = 1000
# Of the budget, in per cent.
_MOST_EQUAL = 50.0
# Explore trials of a cell at most, with `trials: auto`.
_AUTO = 60
Sampler = Literal["surrogate", "tpe", "random"]
# Families in which only the base LR is searched.
BASELINES = tuple(name for name in families() if not family(name).required())


Budgets = Annotated[list[StrictInt | StrictStr], Field(min_length=1)]
Optimizers = Annotated[list[StrictStr | dict[str, Any]], Field(min_length=1)]


class _Own(Section):
    """What an entry of ``workloads`` may have of its own, in place of the study's."""

    resources: Resources
    budgets: Budgets
    optimizers: Optimizers


@dataclass(frozen=True)
class _Entry:
    """An entry of ``workloads``; ``function`` is None for a class."""

    spec: Spec
    own: _Own
    function: FunctionEntry | None


class Study(Section):
    """A study file. Every key but ``name`` and ``workloads`` has a default."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    workloads: list[StrictStr | dict[str, Any]] = Field(min_length=1)
    budgets: Budgets = Field(default=["5%", "10%", "25%", "50%", "100%"])
    optimizers: Optimizers = Field(default=["sgd"])
    families: list[StrictStr | dict[str, Any]] = Field(default=["uba", "rex", "linear", "cosine", "step"], min_length=1)
    baselines: list[StrictStr] = Field(default=["linear", "cosine"])
    space: Space = Space()
    schedule: Composition = Composition()
    sampler: Sampler = "surrogate"
    trials: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | Literal["auto"] | Auto = 40
    replicates: StrictInt = Field(3, ge=0, le=1000)
    warm_start: StrictStr | list[StrictStr] | None = None
    early_stopping: Literal["asha", "predict", "none"] | Asha = "predict"
    objective: Literal["val_loss", "val_metric"] | None = None
    diagnostics: Diagnostics = Diagnostics()
    resources: Resources = Resources()
    population: StrictInt | StrictStr = "off"
    failures: Failures = Failures()
    equal: StrictStr = "3%"
    seed: StrictInt = Field(0, ge=0)

    @field_validator("equal")
    @classmethod
    def _part_of_the_budget(cls, value: str) -> str:
        percentage(value, most=_MOST_EQUAL)
        return value

    @field_validator("population", mode="before")
    @classmethod
    def _auto_off_or_a_number(cls, value: object) -> object:
        # YAML reads the word as a boolean.
        value = "off" if value is False else value
        if value not in ("auto", "off") and not (type(value) is int and 1 <= value <= _MOST_TOGETHER):
            raise ValueError(f"it must be auto, off or a whole number from 1 to {_MOST_TOGETHER}")
        return value

    @property
    def ladder(self) -> Asha | None:
        """The rungs, and ASHA's settings where `early_stopping` is not `predict`; None without early stopping."""
        if isinstance(self.early_stopping, Asha):
            return self.early_stopping
        return None if self.early_stopping == "none" else Asha()

    @property
    def earlier(self) -> tuple[str, ...]:
        """The studies that `warm_start` names."""
        return (self.warm_start,) if isinstance(self.warm_start, str) else tuple(self.warm_start or ())

    @property
    def auto(self) -> bool:
        """Whether a cell may have enough before it has had `most` explore trials."""
        return not isinstance(self.trials, int)

    @property
    def most(self) -> int:
        """Explore trials of a cell at most."""
        if isinstance(self.trials, Auto):
            return self.trials.most
        return _AUTO if self.trials == "auto" else self.trials

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, workload by workload, budgets ascending.

        Raises:
            InputError: A workload, optimizer or budget that cannot be.
        """
        families = family_spaces(self._families(), self.space.parameters, self.schedule.changes())
        entries = [self._entry(entry) for entry in self.workloads]
        _no_repeats("workloads", [entry.spec.label for entry in entries])
        for entry in entries:
            if isinstance(self.population, int) and self.population > 1 and entry.own.resources.gpu > 1:
                raise InputError(
                    f"population: {self.population} is not allowed with {entry.own.resources.gpu:g} GPUs a trial; "
                    "a population trains on one GPU or a part of one"
                )
        return tuple(
            cell
            for entry in entries
            for optimizer in ([OWN_OPTIMIZER] if entry.function else _optimizers(entry.own.optimizers))
            for cell in self._cells_of(entry, optimizer, families)
        )

    def _entry(self, entry: str | dict[str, Any]) -> _Entry:
        """A workload's name and parameters; what it has in place of the study's; and what is said of a function."""
        values = {"name": Spec.parse(entry).name} if isinstance(entry, str) else dict(entry)
        name, said = values.get("name"), None
        if isinstance(name, str) and is_function(name):
            if "optimizers" in values:
                raise InputError(f"workloads.{name}.optimizers: not allowed; a function makes its optimizer itself")
            said = {key: values.pop(key) for key in FunctionEntry.model_fields if key in values}
        own = self._own(values)
        if isinstance(name, str) and ":" not in name:
            # Said before what is wrong with the parameters of a name that is none.
            parameters(name)
        spec = Spec.of(entry if isinstance(entry, str) else values)
        if said is None:
            if own.resources.nodes > 1:
                raise InputError(
                    f"resources.nodes: {own.resources.nodes} is not allowed for {spec.name}; "
                    "only a function trains on several nodes (docs/how-to/train/several-gpus.md)"
                )
            return _Entry(spec, own, None)
        function(spec)
        return _Entry(spec, own, self._function(spec.name, said))

    def _own(self, values: dict[str, Any]) -> _Own:
        """Takes out of an entry what it has of its own; the rest, and resources that it leaves out, are the study's."""
        studys = self.model_dump(include=set(_Own.model_fields))
        own = {key: values.pop(key) for key in studys if key in values}
        if isinstance(resources := own.get("resources"), dict):
            own["resources"] = studys["resources"] | resources
        try:
            return _Own.model_validate(studys | own)
        except ValidationError as error:
            raise InputError(f"workloads.{values.get('name')}.{one_line(error, Study)}") from None

    def _function(self, name: str, values: dict[str, Any]) -> FunctionEntry:
        """What an entry says of a function besides its arguments."""
        needed = {"full_budget": "its full budget in iterations"}
        if self.space.base_lr is None:
            needed["base_lr"] = "its range of base LRs, such as [0.001, 1.0]"
        for key, words in needed.items():
            if key not in values:
                raise InputError(f"workloads.{name}.{key}: missing; a function's entry needs {words}")
        try:
            return FunctionEntry.model_validate(values)
        except ValidationError as error:
            raise InputError(f"workloads.{name}.{one_line(error, Study)}") from None

    def _families(self) -> list[str | dict[str, Any]]:
        """The families and, where they are not among them, the baselines."""
        labels = {entry if isinstance(entry, str) else entry.get("label", entry.get("name")) for entry in self.families}
        for name in self.baselines:
            if name not in BASELINES:
                raise InputError(f"baselines: {name!r} is not allowed; baselines may be: {', '.join(BASELINES)}")
        return [*self.families, *(name for name in self.baselines if name not in labels)]

    def _cells_of(self, entry: _Entry, optimizer: Spec, families: list[FamilySpace]) -> Iterable[Cell]:
        spec = entry.spec
        built: FunctionEntry | Workload
        base_lr: tuple[float, float] | None
        if entry.function is not None:
            built, full_budget, base_lr = entry.function, entry.function.full_budget, entry.function.base_lr
        else:
            built, full_budget, base_lr = _built(spec, optimizer)
        if schedule_free(optimizer):
            # Made for a constant LR; the other families would undo what it does.
            constant = family_spaces(["constant"], {}, self.schedule.changes())
            families = [space for space in families if space.name == "constant"] or constant
        budgets = [_iterations(budget, full_budget, spec) for budget in entry.own.budgets]
        _no_repeats(f"budgets (in iterations of {spec.label})", budgets)
        objective = self.objective or built.objective
        base_lr = self.space.base_lr or base_lr
        assert base_lr is not None, "a function's entry has it where the space has not"
        for budget in sorted(budgets):
            yield Cell(
                workload=spec,
                optimizer=optimizer,
                budget=budget,
                full_budget=full_budget,
                objective=objective,
                mode="min" if objective == "val_loss" else built.metric_mode,
                metric_name=built.metric_name,
                metric_mode=built.metric_mode,
                base_lr=base_lr,
                deterministic=isinstance(built, Workload) and built.deterministic,
                families=tuple(families),
                resources=entry.own.resources,
                artifacts=built.artifacts if isinstance(built, FunctionEntry) else "none",
            )

    def to_yaml(self) -> str:
        """The study with every default filled in."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _optimizers(entries: Iterable[str | dict[str, Any]]) -> list[Spec]:
    optimizers = [Spec.of(entry, "optimizers") for entry in entries]
    _no_repeats("optimizers", [spec.label for spec in optimizers])
    return optimizers


def _range(optimizer: str, ends: Any) -> tuple[float, float]:
    """A workload's range of the base LR."""
    if not isinstance(ends, tuple | list) or len(ends) != 2 or not 0 < ends[0] < ends[1]:
        raise TypeError(f"base_lr[{optimizer!r}] is {ends!r}; it must be the lowest and the highest")
    return float(ends[0]), float(ends[1])


def parse_study(values: Mapping[str, Any]) -> Study:
    """The study of a study file's keys and values.

    Raises:
        InputError: A key or value that is not allowed, or a cell that cannot be.
    """
    try:
        study = Study.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(one_line(error, Study)) from None
    _ = study.cells
    return study


def _built(spec: Spec, optimizer: Spec) -> tuple[Workload, int, tuple[float, float]]:
    """The workload, which can be trained with the optimizer, its full budget and its range of the base LR."""
    with users_code("workloads", spec.label) if ":" in spec.name else nullcontext():
        built = workload(spec)
        if optimizer.name not in built.base_lr:
            raise InputError(
                f"optimizers: {spec.name} cannot use {optimizer.name!r};{did_you_mean(optimizer.name, built.base_lr)} "
                f"it supports: {', '.join(built.base_lr)}"
            )
        built.check(optimizer)
        return built, int(built.full_budget), _range(optimizer.name, built.base_lr[optimizer.name])


def _iterations(budget: int | str, full_budget: int, spec: Spec) -> int:
    """A budget in iterations, from whole iterations or a percentage of the workload's full budget."""
    iterations: float
    if isinstance(budget, str):
        number, percent, rest = budget.strip().partition("%")
        try:
            share = float(number) / 100
        except ValueError:
            share = math.nan
        if not percent or rest or not 0 < share <= 1:
            raise InputError(f"budgets: {budget!r} is not allowed; write whole iterations or a percentage up to '100%'")
        iterations = round(share * full_budget)
        if iterations < 1:
            raise InputError(
                f"budgets: {budget!r} of {spec.label} is less than one iteration (full budget {full_budget})"
            )
        return int(iterations)
    if not 1 <= budget <= _MOST_ITERATIONS:
        raise InputError(f"budgets: {budget} is not allowed; it must be 1 to {_MOST_ITERATIONS} iterations")
    return budget


def _no_repeats(field: str, values: list[Any]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise InputError(f"{field}: {value!r} is there twice")
