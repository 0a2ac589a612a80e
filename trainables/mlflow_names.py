"""Names in MLflow that both the search and the analysis use."""

import re

# Tags of a run: what it stands for (study, cell, finalist or trial), and the run of the study that it belongs to.
KIND, STUDY_RUN, CELL = "phitune.kind", "phitune.study_run", "phitune.cell"
# Of a cell's run: the best objective of its explore trials so far, over their number.
BEST = "best/objective"
# Of a cell's run: a family's gain over cosine.
GAIN = "gain"


def metric_name(section: str, name: str) -> str:
    """Name of a metric, such as ``gain/uba``; what MLflow does not allow in names becomes an underscore."""
    allowed = re.sub(r"[^\w.: -]", "_", name)
    return f"{section}/{allowed}"
