"""The description of a study's run in MLflow keeps to its limits."""

import pytest
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from phitune.analysis.report.words.note import MOST_OF_TAG, WHERE, cut

LINES = [f"- answer {i}: {'x' * (1 + i % 7)}" for i in range(300)]


def test_the_limit_is_within_mlflows() -> None:
    assert MOST_OF_TAG <= MAX_TAG_VAL_LENGTH


@pytest.mark.parametrize("most", [200, 1000, 1003, 1017, MOST_OF_TAG])
def test_a_long_note_ends_with_a_whole_line_and_a_reference_to_the_report(most: int) -> None:
    note = cut("\n".join(LINES), most)
    kept = note.removesuffix(f"\n\nThere is more. {WHERE}").split("\n")
    assert len(note) <= most and kept and kept == LINES[: len(kept)]


def test_a_short_note_is_not_cut() -> None:
    assert cut("\n".join(LINES[:3]), 1000) == "\n".join(LINES[:3])
