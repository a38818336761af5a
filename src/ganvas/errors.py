"""The two ways a command ends badly; each message is the one line that the user reads."""


class UsageError(ValueError):
    """The input is wrong: an option, a config value, a file given. Exit code 2.

    The message names the option or file, what was found, what is allowed and what to do.
    """


class RunError(RuntimeError):
    """The input was fine and the run failed: the disk is full, a loss is NaN. Exit code 1."""
