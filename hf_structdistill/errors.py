"""The one exception that means "the input is wrong, and here is what to do about it"."""


class InputError(ValueError):
    """Bad input from the user: a missing file, a row without a field, an impossible setting.

    The message names what was expected, what was found (file, row, field, shape) and what to do. The command line
    prints it as one line and exits with code 2.
    """
