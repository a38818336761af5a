"""The two ways a command ends badly; each message is the one line that the user reads."""


class UsageError(ValueError):
    """The input is wrong: an option, a config value, a file given. Exit code 2.

    The message names the option or file, what was found, what is allowed and what to do.
    """


class NoSplit(UsageError):
    """A data set has no test split, and none that is held out of its training images."""


class RunError(RuntimeError):
    """The input was fine and the run failed: the disk is full, a loss is NaN. Exit code 1."""


def first_line(error: Exception) -> str:
    """What an error of a library says, without what is only of use to those who wrote that."""
    return printable((str(error).strip() or type(error).__name__).partition("\n")[0])


def printable(text: str) -> str:
    r"""The text with escapes for all that is no plain character: "\x1b", "\n", "\xff" for a byte.

    So a name from elsewhere can neither move the cursor nor break a line or an encoding.
    """
    return text if text.isprintable() else "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
