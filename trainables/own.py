"""A user's own class by name: ``my_package.my_module:MyClass``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from phitune.trainables.errors import InputError


def import_own(name: str, field: str) -> Any:
    """What the name stands for; modules are looked for in the working directory too, as ``python -m`` does.

    Args:
        field: What is being named, for the message.

    Raises:
        InputError: It cannot be imported.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{field}: cannot import {name!r} ({type(error).__name__}: {reason})") from error
