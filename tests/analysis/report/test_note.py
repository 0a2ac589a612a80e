"""The description of a study's run in MLflow fits into it."""

import pytest
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from phitune.analysis.report.pages import MOST_OF_TAG, WHERE, cut

LINES = [f"- answer {i}: {'x' * (1 + i % 7)}" for i in range(300)]


def test_mlflow_takes_what_is_called_the_most() -> None:
    assert MOST_OF_TAG <= MAX_TAG_VAL_LENGTH


@pytest.mark.parametrize("most", [200, 1000, 1003, 1017, MOST_OF_TAG])
def test_a_long_note_ends_with_a_whole_line_and_where_the_rest_stands(most: int) -> None:
    found = cut("\n".join(LINES), most)
    kept = found.removesuffix(f"\n\nThere is more. {WHERE}").split("\n")
    assert len(found) <= most and kept and kept == LINES[: len(kept)]


def test_a_note_that_fits_stays_as_it_is() -> None:
    assert cut("\n".join(LINES[:3]), 1000) == "\n".join(LINES[:3])
