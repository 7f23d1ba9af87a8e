"""The one error that a user is meant to read."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence: the file, what was found in it, and what was wanted.
    """
