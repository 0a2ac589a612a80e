"""The conclusions as a terminal shows them: now, and later from guidelines.json."""

from typing import Any

from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.cells import legend, summary_table
from phitune.analysis.report.words.headlines import headlines


def summary(guidelines: Guidelines) -> dict[str, Any]:
    """The rows of the summary table, how to read it, the headlines, and what was left out: all as text."""
    return {
        "rows": summary_table(guidelines),
        "legend": legend(guidelines),
        "lines": headlines(guidelines),
        "notes": list(guidelines.provenance.get("left_out", [])),
    }
