"""A commented study file for a user to begin with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

import yaml

from phitune.search.study.file import read_study
from phitune.search.study.model import Study
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.function import function, function_named, is_function

Range = tuple[float, float]
# Column of the comments, where the keys are shorter.
COLUMN = 44


@dataclass(frozen=True)
class Draft:
    """What a user says of a study; what is None keeps the default of study files.

    Attributes:
        name: The study's name.
        workloads: Labels, such as ``mlp/digits``, ``quadratic(kappa=100)`` or ``my_training:train(width=128)``.
        budgets: Iterations or percentages.
        optimizers: Labels.
        trials: Explore trials a cell, or ``auto``.
        full_budget: Of functions, in iterations; by default the largest of `budgets`, where they are iterations.
        base_lr: Range of the base LR of functions; by default that of torch's workloads for the first optimizer.
    """

    name: str
    workloads: Sequence[str]
    budgets: Sequence[int | str] | None = None
    optimizers: Sequence[str] | None = None
    trials: int | str | None = None
    full_budget: int | None = None
    base_lr: Range | None = None

    def write(self, path: Path) -> Study:
        """Writes the study file, replacing one that is there, if it is a valid study.

        Raises:
            InputError: A value is not allowed, a function lacks its full budget or an argument, or the file cannot be
                written. Nothing is written then.
        """
        try:
            with whole_file(path) as fresh:
                fresh.write_text("\n".join(self._lines(path)) + "\n", encoding="utf-8")
                return read_study(fresh)
        except OSError as error:
            raise InputError(f"--out: {str(path)!r} cannot be written ({error.strerror})") from error

    def _lines(self, path: Path) -> Iterator[str]:
        specs = [Spec.parse(label) for label in self.workloads]
        functions = [spec for spec in specs if is_function(spec.name)]
        yield f"# Check this file:  phitune search {shlex.quote(str(path))} --dry-run"
        yield f"# Search the study: phitune search {shlex.quote(str(path))}"
        yield "# Every key but `name` and `workloads` has a default; docs/reference/study-file.md has all of them."
        yield _commented(f"name: {self.name}", f"its results: runs/{self.name}")
        yield _commented("workloads:", "`phitune workloads` lists the built-in ones")
        for spec in specs:
            yield from self._function(spec) if spec in functions else [f"  - {_flow(spec.entry)}"]
        yield self._key("budgets", self.budgets, "of the full budget, or whole iterations; each is a run of its own")
        if len(functions) < len(specs):
            named = [Spec.parse(label, "optimizers").entry for label in self.optimizers or []]
            yield self._key(
                "optimizers", named or None, "and adam, adamw, amsgrad, schedulefree-sgd, schedulefree-adamw"
            )
        yield self._key("families", None, "schedules; `phitune schedules` lists them")
        yield self._key("trials", self.trials, "for each budget; auto: until one more is not worth it")
        yield self._key("replicates", None, "fresh seeds for the best configuration, linear and cosine")
        yield self._key("early_stopping", None, "or asha, none")
        yield _commented("# space: {phi: [0.05, 50]}", "what is searched; also base_lr, else the workload's range")
        yield _commented("resources: {cpu: 1, gpu: 0}", "of a trial; gpu may be 1/k")
        yield self._key("seed", None, "")

    def _key(self, key: str, value: Any, comment: str) -> str:
        """A line for a key of the file, with its default unless there is a value."""
        default = Study.model_fields[key].default
        return _commented(f"{key}: {_flow(default if value is None else value)}", comment)

    def _function(self, spec: Spec) -> Iterator[str]:
        """The entry of a function: what it needs besides its arguments, then these."""
        function(spec)
        low, high = self.base_lr or _base_lr(self.optimizers)
        entry = {"name": spec.name, "full_budget": self._full_budget(spec.name), "base_lr": [low, high]}
        comments = {
            "name": "a function of a phitune.Trial",
            "full_budget": "iterations; budgets in per cent are shares of it",
            "base_lr": "searched; `search --range-test` finds it",
        }
        for key, value in entry.items():
            yield _commented(f"  {'-' if key == 'name' else ' '} {key}: {_flow(value)}", comments[key])
        yield _commented("    objective: val_loss", "or val_metric, with metric_name and metric_mode: max or min")
        for key, default in function_named(spec.name).parameters.items():
            if key in spec.params:
                yield f"    {key}: {_flow(spec.params[key])}"
            elif default is not Parameter.empty:
                yield _commented(f"    # {key}: {default!r}", "an argument, with its default")

    def _full_budget(self, name: str) -> int:
        if self.full_budget is not None:
            return self.full_budget
        whole = [budget for budget in self.budgets or [] if isinstance(budget, int)]
        if not whole or len(whole) < len(self.budgets or []):
            raise InputError(
                f"--full-budget: missing; for {name} it is the iterations of its full recipe, such as "
                "--full-budget 20000, or give all budgets in iterations, such as --budget 500,1000,2000"
            )
        return max(whole)


def _base_lr(optimizers: Sequence[str] | None) -> Range:
    """The usual range of the first optimizer, or SGD's."""
    from phitune.trainables.workloads.learning.torch_workload import DEFAULT_BASE_LR

    first = Spec.parse((optimizers or ["sgd"])[0], "optimizers").name
    return DEFAULT_BASE_LR.get(first, DEFAULT_BASE_LR["sgd"])


def _commented(text: str, comment: str) -> str:
    return f"{text:{COLUMN}}  # {comment}" if comment else text


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    return yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)[1:-2]
