"""Errors told in one line, which the user can mend or which came from around phitune, and a forgotten task's."""


class InputError(ValueError):
    """Bad input, told in one line that names the field, the value and what is allowed.

    The command line prints the message as it is and exits with code 2.
    """


class SurroundingsError(RuntimeError):
    """Something that phitune needs does not work, such as Ray; the same command may succeed later.

    The command line prints the message as it is and exits with code 1.
    """


class TaskGoneError(Exception):
    """A population has forgotten a task: the task's process was away for so long that it was held for dead, say.

    It is begun again, from its checkpoint.
    """
