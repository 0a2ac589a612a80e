"""How sure a difference between two configurations is, in words: the one definition for tables, cards and sentences."""

from typing import Literal

from phitune.analysis.answers.numbers import number, percent

Sureness = Literal["clear", "likely", "cannot tell"]

# Of the posterior probability that the difference has the sign of its median.
LIKELY = 0.8


def sureness(probability: float, interval: tuple[float, float]) -> Sureness:
    """How sure the sign of a difference is.

    Args:
        probability: That it is positive.
        interval: Its 90 % interval, which may hold 0 for a reason that the probability does not know.

    Returns:
        "clear" (the interval leaves 0 out, so that one sign has a probability of 0.95), "likely" (one has at least
        `LIKELY`) or "cannot tell".
    """
    if interval[0] > 0 or interval[1] < 0:
        return "clear"
    return "likely" if max(probability, 1.0 - probability) >= LIKELY else "cannot tell"


def gain_words(percent_better: float, interval: tuple[float, float], probability: float, relative: bool = True) -> str:
    """A gain and how sure it is, such as "+12 % likely"; without the figure where its sign cannot be told.

    Args:
        percent_better: The gain, in units of the objective unless `relative`; positive is better.
        interval: Its 90 % interval.
        probability: That it is positive.
        relative: Whether it is in per cent.
    """
    word = sureness(probability, interval)
    if word == "cannot tell":
        return word
    return f"{percent(percent_better, plus=True)} % {word}" if relative else f"{number(percent_better)} {word}"
