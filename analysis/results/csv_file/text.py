"""The text of a CSV, column by column into words and numbers; an error names the line, the column and the value."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phitune.trainables.errors import InputError


class CsvText:
    """A file's cells as text; the index holds line numbers.

    Args:
        path: For messages.
        cells: Text, one row a line.
    """

    def __init__(self, path: Path, cells: pd.DataFrame) -> None:
        self.path = path
        self._cells = cells
        self.columns: list[str] = [str(c) for c in cells.columns]
        self.index = cells.index

    def __getitem__(self, column: str) -> "pd.Series[Any]":
        if column in self.columns:
            return self._cells[column]
        return pd.Series("", index=self.index, dtype=object)

    def at(self, line: Any, column: str) -> str:
        """One value, empty where the column is missing."""
        return str(self._cells.at[line, column]) if column in self.columns else ""

    def error(self, line: Any, column: str, what: str, allowed: str) -> InputError:
        """What is wrong in a line."""
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

    def parsed(self, column: str, parse: Callable[[str], str]) -> "pd.Series[Any]":
        """Text in its one way of writing.

        Raises:
            InputError: Empty, or the parser's error, with the line.
        """
        known: dict[str, str] = {}
        for line, value in self[column].drop_duplicates().items():
            if not value:
                raise self.error(line, column, "is empty", "every line needs one")
            try:
                known[value] = parse(value)
            except InputError as error:
                raise InputError(f"{self.path}: line {line}: {error}") from None
        return self[column].map(known)

    def numbers(
        self, column: str, default: float | None = None, whole: bool = False, positive: bool = False
    ) -> "pd.Series[float]":
        """Finite numbers that are not negative.

        Args:
            column: Its name.
            default: What stands for an empty value; without one, none may be empty.
            whole: Whether they must be whole numbers.
            positive: Whether they must be above zero.

        Raises:
            InputError: A value that is none of these.
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

    def loose(self, column: str) -> "pd.Series[float]":
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
        """Measured values that must be there.

        Raises:
            InputError: One of them is not.
        """
        for line in self.index[where & self.loose(column).isna()][:1]:
            raise self.error(line, column, "is not allowed", f"it must be {allowed}")
