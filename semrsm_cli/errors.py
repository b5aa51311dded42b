"""The errors that end a run with one line instead of a traceback."""

__all__ = ["ConfigError", "SemrsmError"]


class SemrsmError(Exception):
    """A run cannot go on; the message says what is wrong and what to do, on one line."""

    exit_code = 1


class ConfigError(SemrsmError):
    """The settings on the command line or in a config file are not valid."""

    exit_code = 2
