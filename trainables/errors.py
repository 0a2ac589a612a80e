"""The errors that are told in one line: what the user can mend, and what failed around phitune."""


class InputError(ValueError):
    """Bad input, told in one line that names the field, the value and what is allowed.

    The command line prints the message as it is and exits with code 2.
    """


class SurroundingsError(RuntimeError):
    """Something that phitune needs does not work, such as Ray; the same command may succeed later.

    The command line prints the message as it is and exits with code 1.
    """
