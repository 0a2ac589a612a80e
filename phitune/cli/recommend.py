"""`phitune recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phitune.cli.complete import workload_names


def recommend(
    workload: Annotated[
        str, typer.Option(metavar="NAME", help="Workload, such as mlp/digits.", autocompletion=workload_names)
    ],
    budget: Annotated[
        str, typer.Option(metavar="STEPS|PERCENT%", help="Iterations, or a percentage of the full budget.")
    ],
    optimizer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Optimizer.  [default: the only one searched, or sgd]", show_default=False),
    ] = None,
    guidelines: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="guidelines.json.  [default: the newest in runs/*/report]", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recommend a schedule, φ and base LR.

    Prints their intervals, the evidence and warnings too.

    \b
    Examples:
      phitune recommend --workload mlp/digits --budget 25%
      phitune recommend --workload mlp/digits --budget 2000 --optimizer adamw --json
    """
    from phitune.analysis.answers.recommend import recommend as recommendation_for

    recommendation = recommendation_for(workload, budget, optimizer=optimizer, guidelines=guidelines)
    typer.echo(recommendation.to_json() if as_json else str(recommendation))
