"""The report: reproduce.md, reproduce.json and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reproduce import tables
from benchmarks.reproduce.claims import claims_table
from benchmarks.reproduce.figure import draw
from benchmarks.reproduce.plan import COARSE_UP_TO, PARENT, PHIS, REFINED, Plan
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload

DUELS = (
    ("linear", "step"),
    ("linear", "sgdr"),
    ("rex", "linear"),
    ("rex", "cosine"),
    ("delayed-linear", "linear"),
    ("wsd", "linear"),
    ("uba", "cosine"),
    ("uba", "linear"),
    ("uba", "rex"),
    (REFINED, PARENT),
)


def write(plan: Plan, header: dict[str, Any], folder: Path, figure: Path) -> None:
    """Writes all three; prints where."""
    frame = tables.scores(plan)
    curves = tables.convergence(plan)
    folder.mkdir(parents=True, exist_ok=True)
    if curves:
        draw(curves, figure)
    (folder / "reproduce.json").write_text(tables.as_json(plan, frame, curves, header), encoding="utf-8")
    text = "\n".join(_sections(plan, header, frame, curves, figure))
    (folder / "reproduce.md").write_text(text, encoding="utf-8")
    print(f"{folder / 'reproduce.md'}, {folder / 'reproduce.json'}, {figure}")


def _sections(plan: Plan, header: dict[str, Any], frame: Any, curves: Any, figure: Path) -> list[str]:
    published = [name for name in tables.PAPER_FIRST if name in plan.families]
    own = header["workloads_own_full_budgets"]
    full = ", ".join(f"{name} {steps} (its own: {own[name]})" for name, steps in header["full_budgets"].items())
    parts = [
        "# Schedules under a budget: the papers' comparisons in small",
        "",
        f"- Command: `{header['command']}`",
        f"- Machine: {header['machine']}; shared, so times are upper bounds",
        f"- Versions: {header['versions']}",
        f"- Date: {header['date']}; n: {header['n']}",
        f"- Full budgets, iterations: {full}",
        f"- {header['trials']} trials, {header['trial_seconds']} s in all, so about "
        f"{header['trial_seconds'] / header['processes']:.0f} s with {header['processes']} processes; this start took "
        f"{header['wall_seconds']} s and found {header['trials_kept_from_before']} trials done",
        "",
        _METHOD,
        "## What the papers say, and what came out",
        "",
        claims_table(frame, curves),
        _CLAIMS,
        "## Ranks within REX's line-up",
        "",
        tables.rank_table(tables.ranks(frame, published), paper=True),
        "## Ranks of all families",
        "",
        tables.rank_table(tables.ranks(frame, plan.families)),
        "The same by the test metric:",
        "",
        tables.rank_table(tables.ranks(frame, plan.families, "test_metric")),
        "## One against another",
        "",
        tables.duels(frame, DUELS, lambda percent: percent <= tables.LOW),
    ]
    for setting in plan.settings:
        of = frame[frame.workload == setting.workload]
        metric = workload(Spec.parse(setting.workload)).metric_name
        parts += [f"## {setting.workload}, {setting.optimizer}", "", "Test loss, mean ± standard deviation:", ""]
        parts += [tables.cell_table(of, "test_loss"), f"Test {metric}:", "", tables.cell_table(of, "test_metric")]
    if REFINED in plan.families:
        parts += ["## Refined schedules", "", _REFINED, tables.refined_table(plan)]
    if curves:
        parts += ["## Budgeted convergence", "", _CONVERGENCE.format(figure=figure), tables.convergence_table(curves)]
    return parts


_METHOD = f"""\
Every budget is an independent run. The base LR is tuned for each schedule and budget on powers of two, by validation
loss on one seed: every other one in the workload's range, above {COARSE_UP_TO:g} % the last budget's best; then further
ones until the best one's two neighbours are known. The tuned schedule is then trained on fresh seeds, the same for all
schedules, and ranked by its mean *test loss*: the loss is what was tuned, and the accuracies of small test sets are
full of ties. Ranks by the test metric are given too. Budgets up to {tables.LOW:g} % are low, the others high; ties
share a first place.

Schedules have their default parameters. But `uba` has φ of {", ".join(f"{phi:g}" for phi in PHIS)} chosen by validation
loss, as one more thing that is tuned, so it had {len(PHIS)} times the trials; and `{REFINED}` is made in each cell from
the gradient norms of a real trial, `{PARENT}` at its tuned base LR. `uba φ=2` is `cosine`, the same trials.
"""

_CLAIMS = """\
One schedule beats another where its mean test loss is the lower in more than two thirds of the cells; "in part": at low
budgets or at high ones only. These are small workloads, none of them one of the papers', and a single seed chose
each base LR: its noise is in every rank. Neither a "no" nor a "yes" here settles a question.
"""

_REFINED = f"""\
Parent: the `{PARENT}` trial that was refined. Child: the refined schedule with the parent's base LR and seed. Then both
at their own tuned base LR on fresh seeds, and their difference, paired by seed (negative: refined is better).
"""

_CONVERGENCE = """\
`{figure}`: at each family's tuned base LR, one fresh seed; the gradient of the loss over the training set, all of it
for digits, for the GPT the 256 windows of it that the workload evaluates. ρ: Spearman's correlation over the points of
a curve.
"""
