"""Errors with a one-line message for the user, a population's unknown task, and running out of memory."""

from __future__ import annotations

import sys

# What CUDA's libraries say in plain RuntimeErrors when they get no memory, and torch's allocator on a CPU.
_OUT_OF_MEMORY = ("ALLOC_FAILED", "can't allocate memory")


class InputError(ValueError):
    """Bad input; the message is one line that names the field, the value and what is allowed.

    The command line prints the message as it is and exits with code 2.
    """


class SurroundingsError(RuntimeError):
    """Something that phitune needs does not work, such as Ray; the same command may succeed later.

    The command line prints the message as it is and exits with code 1.
    """


class ProcessLostError(Exception):
    """A process that cannot train a trial, through no fault of the trial's; it is started again in another."""


class TaskGoneError(Exception):
    """A population does not know the task, for instance because its process was silent so long that it was dropped.

    The task is submitted again and goes on from its checkpoint.
    """


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, a device's or this machine's."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)
