"""A user's own class by name, ``my_package.my_module:MyClass``, and what goes wrong in it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

from phitune.trainables.errors import InputError


def import_class(name: str, field: str) -> Any:
    """Imports ``module:attribute``; modules are looked for in the working directory too, as ``python -m`` does.

    What a module prints on its import appears when that has ended, but for one that exits: it may be the usage of a
    program that is not this one.

    Args:
        name: Module and attribute with a colon between them.
        field: The field that holds the name, for the message.

    Raises:
        InputError: It cannot be imported, or the module exits when it is imported, as one does that parses arguments
            outside of ``if __name__ == "__main__"``.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, attribute = name.partition(":")
    try:
        with _held_output():
            return getattr(import_module(module), attribute)
    except SystemExit as error:
        raise InputError(
            f"{field}: cannot import {name!r} (importing {module} calls sys.exit({error.code!r}); what it does as a "
            'script, such as parsing arguments, belongs under `if __name__ == "__main__":`)'
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{field}: cannot import {name!r} ({type(error).__name__}: {reason})") from error


@contextmanager
def users_code(field: str, name: str) -> Iterator[None]:
    """Context for a call of a user's code: whatever it raises, or its exit, becomes an `InputError`.

    Args:
        field: The field that names the code, for the message.
        name: What it names there.
    """
    try:
        yield
    except InputError:
        raise
    except SystemExit as error:
        raise InputError(f"{field}: {name} cannot be used (it calls sys.exit({error.code!r}))") from error
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{field}: {name} cannot be used ({reason}; {Path(at.filename).name}:{at.lineno})") from error


def place_in_users_code(error: BaseException) -> str:
    """Where an error came from, as ``FILE:LINE``: the last line in the working directory, not phitune's; or empty."""
    own, here = str(Path(__file__).parents[1]), str(Path.cwd())
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(here) and not frame.filename.startswith((own, sys.prefix))
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


@contextmanager
def _held_output() -> Iterator[None]:
    """Holds back what is printed until the block ends; drops it if the block ends by `SystemExit`."""
    before = sys.stdout, sys.stderr
    held = _Held(before[0]), _Held(before[1])
    out, err = cast(tuple[TextIO, TextIO], held)
    sys.stdout, sys.stderr = out, err
    exits = False
    try:
        yield
    except SystemExit:
        exits = True
        raise
    finally:
        # The module may have put streams of its own.
        sys.stdout = before[0] if sys.stdout is out else sys.stdout
        sys.stderr = before[1] if sys.stderr is err else sys.stderr
        for stream in held:
            stream.end(show=not exits)


class _Held:
    """A text stream that keeps what is written until `end`; after that it passes on, as a logger may hold it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._kept: list[str] | None = []

    def write(self, text: str) -> int:
        if self._kept is None:
            return self._stream.write(text)
        self._kept.append(text)
        return len(text)

    def end(self, show: bool) -> None:
        kept, self._kept = self._kept or [], None
        if show and kept:
            self._stream.write("".join(kept))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
