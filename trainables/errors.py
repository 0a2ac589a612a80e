"""The error that means: the user can mend this."""


class InputError(ValueError):
    """Bad input, told in one line that names the field, the value and what is allowed.

    The command line prints the message as it is and exits with code 2.
    """
