"""Ray's errors in the words of a study: why a trial failed, in one line."""

from __future__ import annotations

import re

from ray.exceptions import RayTaskError

from phitune.search.stopping.retries import DIED, Failure
from phitune.trainables.errors import ProcessLostError

_COLOUR = re.compile(r"\x1b\[\d+m")


def explain(error: Exception | None) -> Failure:
    """The failure that an error of Ray's stands for; None is a death without an error."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        name, message = type(cause).__name__, str(cause)
        return Failure(
            _one_line(f"{name}: {message}" if message else name),
            _COLOUR.sub("", str(error)),
            lost=isinstance(cause, ProcessLostError),
        )
    text = str(error or "")
    if "low on memory" in text:
        return Failure(f"{DIED}: Ray killed it, {_first_sentence(text.partition('due to ')[2])}")
    if "exit code" in text and "connection error" not in text:
        return Failure(f"{DIED} with exit code {_first_sentence(text.rpartition('exit code ')[2])}")
    if "connection error code" in text:
        return Failure(f"{DIED} without a word: killed (perhaps by the kernel, for memory), crashed or exited")
    because = text.partition("The actor is dead because ")[2]
    return Failure(
        f"{DIED}: {_first_sentence(because)}" if because else DIED, lost=because.startswith("its node has died")
    )


def _one_line(text: str, most: int = 300) -> str:
    """Text without line breaks, not too long."""
    return " ".join(text.split())[:most]


def _first_sentence(text: str) -> str:
    line = _one_line(text.partition("\n")[0])
    return line.partition(". ")[0].rstrip(".")
