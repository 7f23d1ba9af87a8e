"""The one error that a user is meant to read."""

import sys
from types import TracebackType

__all__ = ["InputError", "input_error_in", "report_input_errors"]


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence: the file, what was found in it, and what was wanted.
    """


def report_input_errors() -> None:
    """Makes this process end with the sentence alone, and exit code 1, when an `InputError` stops it.

    MONAI's configs and transforms wrap an error in others of their own; the sentence is looked up in that chain.
    For command lines; other errors keep their traceback.
    """
    sys.excepthook = _print_sentence


def input_error_in(error: BaseException) -> InputError | None:
    """Finds the `InputError` that an error was raised from, if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _print_sentence(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    sentence = input_error_in(error)
    if sentence is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        print(f"error: {sentence}", file=sys.stderr)
