"""A user's own class by name: ``my_package.my_module:MyClass``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from phitune.trainables.errors import InputError


def import_class(name: str, field: str) -> Any:
    """Imports ``module:attribute``; modules are looked for in the working directory too, as ``python -m`` does.

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
        return getattr(import_module(module), attribute)
    except SystemExit as error:
        raise InputError(
            f"{field}: cannot import {name!r} (importing {module} calls sys.exit({error.code!r}); what it does as a "
            'script, such as parsing arguments, belongs under `if __name__ == "__main__":`)'
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{field}: cannot import {name!r} ({type(error).__name__}: {reason})") from error
