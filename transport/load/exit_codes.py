"""The exit codes of `greenroom load`: up to 63 the result of a run, from 64 why there was no run (as in sysexits.h)."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BadInput", "Exit"]


class Exit(IntEnum):
    HELD = 0
    NOT_HELD = 1
    INCORRECT = 2
    HARNESS = 3
    INCONCLUSIVE = 4
    CUT_SHORT = 5
    USAGE = 64
    NO_FILE = 66
    UNREACHABLE = 69
    BROKEN = 70
    NOT_OPENIM = 76
    NOT_ALLOWED = 77
    INTERRUPTED = 130


class BadInput(Exception):
    """The run cannot begin, or the harness itself failed. The text is one line for the user."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code
