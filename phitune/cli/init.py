"""`phitune init`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from phitune.cli.complete import workload_names


def init(
    workloads: Annotated[
        list[str] | None,
        typer.Option(
            "--workload",
            metavar="NAME",
            help="A workload, or your function as MODULE:FUNCTION; with parameters as NAME(key=value,...). Repeatable.",
            autocompletion=workload_names,
        ),
    ] = None,
    budgets: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="STEPS|PERCENT%",
            help="Iterations, or per cent of the full budget; repeatable, or 5%,25%,100%.",
        ),
    ] = None,
    optimizers: Annotated[
        list[str] | None,
        typer.Option("--optimizer", metavar="NAME", help="sgd, adam, adamw, …; repeatable, or sgd,adamw."),
    ] = None,
    trials: Annotated[str | None, typer.Option(metavar="N", help="Trials for each budget; or auto.")] = None,
    full_budget: Annotated[
        int | None, typer.Option(metavar="STEPS", min=1, help="Of your function: iterations of its full recipe.")
    ] = None,
    base_lr: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Of your function: the range of base LRs to search."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path("my-study.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Write a commented study file.

    Without --workload it asks, on a terminal.

    \b
    Examples:
      phitune init
      phitune init --workload mlp/digits --budget 5%,25%,100% --trials 20
      phitune init --workload my_training:train --budget 500,1000,2000 --optimizer adamw
    """
    from phitune.search.study.draft import Draft
    from phitune.trainables.errors import InputError
    from phitune.trainables.spec import Spec
    from phitune.trainables.workloads.function import is_function

    if out.exists() and not force:
        raise InputError(f"--out: {str(out)!r} is there already; give another file, or --force to overwrite it")
    if not workloads and sys.stdin.isatty():
        ask = typer.prompt
        workloads = [ask("Workload (phitune workloads lists them), or MODULE:FUNCTION of yours")]
        own = any(is_function(Spec.parse(label).name) for label in _each(workloads))
        if own and full_budget is None and budgets is None:
            full_budget = ask("Iterations of its full recipe", type=int)
        budgets = budgets or [ask("Budgets, in iterations or per cent of the full budget", "5%,10%,25%,50%,100%")]
        optimizers = optimizers or [ask("Optimizer", "sgd")]
        trials = trials or ask("Trials for each budget, or auto", "40")
    if not workloads:
        raise InputError("--workload: missing; name one, such as mlp/digits (phitune workloads lists them)")
    for budget in _each(budgets):
        if re.fullmatch(r"0*[1-9]\d*|(?=.*[1-9])\d+(\.\d+)?%", budget) is None:
            raise InputError(f"--budget: {budget!r} is not allowed; give whole iterations (300) or a percentage (25%)")
    draft = Draft(
        name=re.sub(r"[^A-Za-z0-9_.-]", "-", out.stem).lstrip("_.-") or "my-study",
        workloads=_each(workloads),
        budgets=[int(budget) if budget.isdecimal() else budget for budget in _each(budgets)] or None,
        optimizers=_each(optimizers) or None,
        trials=int(trials) if trials and trials.isdecimal() else trials,
        full_budget=full_budget,
        base_lr=base_lr,
    )
    study = draft.write(out)
    cells = "1 cell" if len(study.cells) == 1 else f"{len(study.cells)} cells"
    typer.echo(f"{out}: {cells} of {study.most} trials. Look into it; then")
    search = shlex.join(["phitune", "search", str(out)])
    if base_lr is None and any(cell.is_function for cell in study.cells):
        typer.echo(f"{search} --range-test   # finds its base_lr, which is a guess")
    typer.echo(search)


def _each(values: Sequence[str] | None) -> list[str]:
    """The values, those with commas outside of brackets taken apart."""
    return [part.strip() for value in values or [] for part in re.split(r",(?![^(]*\))", value) if part.strip()]
