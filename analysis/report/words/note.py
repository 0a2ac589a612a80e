"""The descriptions of a study's run and of its cells' runs in MLflow: Markdown of limited length."""

from phitune.analysis.answers.numbers import with_interval
from phitune.analysis.answers.recommendation import beside
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.gains import equal_text, more_trials_sentence, payoff
from phitune.analysis.report.words.headlines import headlines
from phitune.analysis.report.words.shapes import cell_verdict
from phitune.analysis.report.words.tables import Table, answer_tables, families_table
from phitune.analysis.report.words.verdicts import family_reason

# MLflow's limit on a tag in characters, of which the description of the search needs some.
MOST_OF_TAG = 8000
MOST_OF_NOTE = 5000
WHERE = "The whole report with figures: Artifacts, `report/report.html`."
# First line of the search's own description.
SEARCHED = "## What was searched"


def note(guidelines: Guidelines, description: str = "") -> str:
    """The answers in short, with the tables if there is room for them, then what was searched.

    Args:
        guidelines: The conclusions.
        description: The run's description so far. The part that the search wrote is kept; answers of an earlier
            analysis before it are replaced.
    """
    return cut("\n\n".join(filter(None, [_answers(guidelines), _searched(description)])), MOST_OF_TAG)


def cell_note(cell: CellGuideline, description: str, picture: str) -> str:
    """A cell's answer, its families and a picture, then what was searched.

    Args:
        cell: The conclusions.
        description: The run's description so far; see `note`.
        picture: Markdown of its figure; empty without one.
    """
    base_lr = with_interval(cell.base_lr, cell.base_lr_interval)
    use = f"Use {cell.family}{beside((), cell.schedule)} at base LR {base_lr}" if cell.family else "No family to use"
    lines = [
        f"**{use}**: {cell_verdict(cell)}. {_sentence(family_reason(cell))}. {payoff(cell)} "
        f"{_sentence(equal_text(cell))}. {more_trials_sentence(cell)}"
    ]
    parts = ["## Answer", *lines, _markdown(families_table(cell)), picture, _searched(description)]
    return cut("\n\n".join(filter(None, parts)), MOST_OF_TAG)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _searched(description: str) -> str:
    """The part of a description that the search wrote."""
    return description[description.find(SEARCHED) :] if SEARCHED in description else ""


def _answers(guidelines: Guidelines) -> str:
    lines = [f"- {line}" for line in headlines(guidelines)]
    tables = [_markdown(table) for table in answer_tables(guidelines)]
    whole = "\n".join(["## Answers", "", *lines, "", "\n\n".join(tables), "", WHERE])
    return whole if len(whole) <= MOST_OF_NOTE else cut("\n".join(["## Answers", "", *lines, "", WHERE]), MOST_OF_NOTE)


def _markdown(table: Table) -> str:
    heads = ["| " + " | ".join(table.heads) + " |", "|---" * len(table.heads) + "|"]
    rows = ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join([f"**{table.title}**", "", *heads, *rows])


def cut(text: str, most: int) -> str:
    """The text, or as many of its first lines as fit into `most` characters with a reference to the report."""
    if len(text) <= most:
        return text
    rest = f"\n\nThere is more. {WHERE}"
    return text[: max(text.rfind("\n", 0, most - len(rest) + 1), 0)].rstrip() + rest
