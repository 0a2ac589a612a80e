"""Percentages as users write them."""

import math


def percentage(text: str, most: float = 100.0) -> float:
    """The share that a percentage such as "3%" stands for.

    Args:
        text: The percentage.
        most: The largest that is allowed, in per cent.

    Raises:
        ValueError: It is no percentage above 0 and at most `most`.
    """
    number, sign, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not sign or rest or not 0 < value <= most:
        raise ValueError(f"it must be a percentage above 0 and up to '{most:g}%'")
    return value / 100.0
