"""`phitune schedules`, `phitune workloads`: the built-in families and workloads."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer


def schedules(
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them to FILE (.png, .svg, .pdf).")] = None,
) -> None:
    """List the schedule families.

    \b
    Examples:
      phitune schedules
      phitune schedules --plot schedules.svg
    """
    from phitune.trainables.schedules import families, family

    if plot is not None:
        from phitune.analysis.report.schedules_figure import save_schedules

        save_schedules(plot)
        typer.echo(f"Drawn: {plot}")
        return
    for name in families():
        cls = family(name)
        summary = (cls.__doc__ or "").strip().splitlines()[0].replace("``", "")
        typer.echo(f"{name:15} {summary}")
        parameters = ", ".join(_parameter(cls, key) for key in dict.fromkeys([*cls.own_fields(), *cls.parameters]))
        for line in textwrap.wrap(parameters, 100, break_on_hyphens=False):
            typer.echo(f"{'':15} {line}")
    typer.echo(
        "\nIn brackets: a parameter's range where a study searches it, as it does if there is no default or its `space`"
        "\nnames the parameter. Your own: module:Class, a subclass of Schedule (docs/how-to/train/own-family.md)."
        "\nEvery family also takes warmup (0.1 of the budget, or 500 iterations), floor (0.1 of the base LR) and"
        "\nsampling (the LR changes once every 0.1 of the budget, or at [0.5, 0.75] alone)."
    )


def workloads(
    own: Annotated[
        str | None,
        typer.Argument(metavar="[MODULE:NAME]", help="Show a function or class of your own.", show_default=False),
    ] = None,
) -> None:
    """List the workloads, their full budgets and optimizers.

    \b
    Examples:
      phitune workloads
      phitune workloads my_training:train
    """
    from phitune.trainables.spec import Spec
    from phitune.trainables.workloads import names, parameters, workload
    from phitune.trainables.workloads.learning.recipe import Recipe

    if own is not None:
        _show_own(own)
        return
    for name in names():
        built = workload(Spec(name))
        options = [f"{key}={value}" for key, value in parameters(name).items() if key not in Recipe.names()]
        # An image folder's full budget depends on how many images there are.
        budget = "by its images" if name == "*/images" else f"{built.full_budget} iterations"
        typer.echo(
            f"{name:22} full budget {budget}, {built.metric_name}"
            + (f"; takes {', '.join(options)}" if options else "")
        )
    typer.echo(
        "\nFor *: mlp, cnn, resnet8 to resnet110, vit-tiny, or any classifier of torchvision.models, such as resnet18."
        f"\nAll but quadratic, regression and power-law also take the recipe: {', '.join(Recipe.names())}."
        "\nYour own: module:function, any training loop that takes a phitune.Trial, or module:Class, a subclass of"
        "\nphitune.trainables.workloads.Workload (docs/reference/workloads.md); phitune workloads module:function shows"
        "\none."
    )


def _show_own(name: str) -> None:
    """Shows what an entry of a study file for a user's own workload holds."""
    from phitune.trainables.workloads import parameters
    from phitune.trainables.workloads.function import function_named, is_function

    if is_function(name):
        known = function_named(name).parameters
        keys = "full_budget, base_lr: [low, high], objective (val_loss), metric_name, metric_mode, artifacts, resources"
        typer.echo(f"{name}: a function of a phitune.Trial; takes {_with_defaults(known)}")
        typer.echo(f"Keys of its entry besides these: {keys}")
    else:
        typer.echo(f"{name}: a class; takes {_with_defaults(parameters(name))}")


def _with_defaults(known: dict[str, Any]) -> str:
    """Parameters as ``width=64, depth``, the latter without a default."""
    shown = [key if value is inspect.Parameter.empty else f"{key}={value}" for key, value in known.items()]
    return ", ".join(shown) or "no arguments"


def _parameter(cls: Any, key: str) -> str:
    """A schedule's parameter with its default and its range, if any."""
    field, searched = cls.__dataclass_fields__[key], cls.parameters.get(key)
    default = "" if key in cls.required() else f"={field.default}"
    return key + default + (f" [{searched.low:g}, {searched.high:g}]" if searched else "")
