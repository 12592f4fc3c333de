"""The one error type whose text is meant for people."""

from __future__ import annotations


class FinopsError(Exception):
    """Something a user can understand and mend: what happened, and what to do next.

    The command line prints ``message`` and ``fix`` on one line and no traceback.

    Attributes:
        message: What happened, naming the thing (team, day, file, setting).
        fix: What to do next; empty where nothing can be done but wait.
        exit_code: 1 for a failure, 2 for wrong usage (see the command line's reference).
    """

    exit_code = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class UsageError(FinopsError):
    """The request itself is wrong: a date, a name or a setting. Nothing was changed."""

    exit_code = 2
