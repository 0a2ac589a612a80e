"""Columns of a CSV as words and numbers; an error names the line, the column and the value."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phitune.trainables.errors import InputError


class CsvText:
    """The text of a file, by column; the index holds line numbers.

    Args:
        path: The file, for messages.
        rows: Text, one row for each line.
    """

    def __init__(self, path: Path, rows: pd.DataFrame) -> None:
        self.path = path
        self._rows = rows
        self.columns: list[str] = [str(c) for c in rows.columns]
        self.index = rows.index

    def __getitem__(self, column: str) -> "pd.Series[Any]":
        if column in self.columns:
            return self._rows[column]
        return pd.Series("", index=self.index, dtype=object)

    def at(self, line: Any, column: str) -> str:
        """One value, empty where the column is missing."""
        return str(self._rows.at[line, column]) if column in self.columns else ""

    def error(self, line: Any, column: str, what: str, allowed: str) -> InputError:
        """Error about a value, which names its line and column."""
        return InputError(f"{self.path}: line {line}: {column}: {self.at(line, column)!r} {what}; {allowed}")

    def words(self, column: str, default: str | None, allowed: Sequence[str] = ()) -> "pd.Series[Any]":
        """Text, with a default where it is empty.

        Raises:
            InputError: A word that is not allowed.
        """
        out = self[column].mask(self[column] == "", default)
        if allowed:
            for line in out.index[out.notna() & ~out.isin(list(allowed))][:1]:
                raise self.error(line, column, "is not allowed", f"it must be one of: {', '.join(allowed)}")
        return out

    def canonical(self, column: str, parse: Callable[[str], str]) -> "pd.Series[Any]":
        """Text in its canonical form.

        Args:
            column: Its name.
            parse: Function from a text to its canonical form.

        Raises:
            InputError: Empty, or the parser's error, with the line.
        """
        forms: dict[str, str] = {}
        for line, value in self[column].drop_duplicates().items():
            if not value:
                raise self.error(line, column, "is empty", "every line needs one")
            try:
                forms[value] = parse(value)
            except InputError as error:
                raise InputError(f"{self.path}: line {line}: {error}") from None
        return self[column].map(forms)

    def numbers(
        self, column: str, default: float | None = None, whole: bool = False, positive: bool = False
    ) -> "pd.Series[float]":
        """Finite numbers that are not negative.

        Args:
            column: Its name.
            default: Replaces empty values; without one, none may be empty.
            whole: Whether they must be whole numbers.
            positive: Whether they must be above zero.

        Raises:
            InputError: Any other value.
        """
        out = pd.to_numeric(self[column], errors="coerce").astype(np.float64)
        empty = self[column] == ""
        good = np.isfinite(out) & (out > 0 if positive else out >= 0)
        if whole:
            good &= out == out.round()
        if default is not None:
            good |= empty
        kind = f"{'positive ' if positive else ''}{'whole ' if whole else ''}number"
        for line in out.index[~good][:1]:
            raise self.error(line, column, "is not allowed", f"it must be a {kind}")
        return out.where(~empty, default)

    def measurements(self, column: str) -> "pd.Series[float]":
        """Measured values: NaN where empty, not a number or infinite.

        Raises:
            InputError: Text.
        """
        out = pd.to_numeric(self[column], errors="coerce").astype(np.float64)
        text = out.isna() & ~self[column].str.lower().isin(["", "nan", "na", "none", "null"])
        for line in out.index[text][:1]:
            raise self.error(line, column, "is not a number", "leave it empty if there is none")
        return out.where(np.isfinite(out))

    def require_finite(self, column: str, where: "pd.Series[bool]", allowed: str) -> None:
        """Check that measured values are present and finite.

        Args:
            column: Its name.
            where: Mask of the lines to check.
            allowed: What the message says a value must be.

        Raises:
            InputError: One of them is missing or not finite.
        """
        for line in self.index[where & self.measurements(column).isna()][:1]:
            raise self.error(line, column, "is not allowed", f"it must be {allowed}")
