"""What a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`` did you mean 'cosine'?`` for an error's message; empty if no known name is like it.

    Args:
        cutoff: Likeness from 0 to 1 from which a name is suggested; see `difflib.get_close_matches`.
    """
    matches = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" did you mean {matches[0]!r}?" if matches else ""
