"""What an analysis says of a cell on its run in MLflow: metrics for charts, texts for the table of runs."""

import math
from collections.abc import Iterator, Mapping

from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.cells import heads, schedule_text
from phitune.analysis.report.words.shapes import cell_verdict
from phitune.trainables.mlflow_names import GAIN, metric_name

ANSWER = "answer"
# MLflow takes only letters, digits and a few signs in a tag's name.
OF_ROW = ("base LR", "over cosine", "over linear")
_Interval = tuple[float, float] | None


def answer_metrics(cell: CellGuideline) -> dict[str, float]:
    """Best values, expectations and gains, each with the ends of its 90 % interval in ``answer_low`` and ``_high``.

    What is not known is left out. Gains are in per cent of the objective, or in its units where it crosses zero:
    ``gain/FAMILY`` of every family over cosine, ``answer/over linear`` of the recommended one.
    """
    values = {
        metric_name(section + suffix, name): value
        for section, name, middle, interval in _values(cell)
        for suffix, value in zip(("", "_low", "_high"), (middle, *(interval or (None, None))), strict=True)
        if value is not None and math.isfinite(value)
    }
    return values | {"answer/replicates": float(cell.replicates), "answer/trials": float(cell.trials)}


def _values(cell: CellGuideline) -> Iterator[tuple[str, str, float | None, _Interval]]:
    yield ANSWER, "phi", cell.phi, cell.phi_interval
    for shape in cell.shapes:
        if not shape.is_phi:
            yield ANSWER, f"{shape.family} {shape.parameter}", shape.best, shape.interval
    yield ANSWER, "base_lr", cell.base_lr, cell.base_lr_interval
    yield ANSWER, "objective", cell.expected_objective, cell.expected_interval
    yield ANSWER, "metric", cell.expected_metric, None
    for baseline, gain in cell.gains.items():
        yield ANSWER, f"over {baseline}", gain.percent, gain.interval
    for family in cell.families:
        if over := family.gains.get("cosine"):
            yield GAIN, family.family, over.percent, over.interval


def answer_texts(guidelines: Guidelines, cell: CellGuideline, row: Mapping[str, str]) -> dict[str, str]:
    """Tags of a cell's run.

    Args:
        guidelines: The conclusions.
        cell: Those about this cell.
        row: Its row of `summary_table`.
    """
    parameter = heads(guidelines)[2]
    best = {"φ" if parameter.endswith("φ") else "shape": row[parameter]}
    texts = {"verdict": cell_verdict(cell), "family": schedule_text(cell), "phitune.verdict": cell.verdict}
    return texts | best | {name: row[name] for name in OF_ROW} | {"phitune.family": cell.family or ""}
