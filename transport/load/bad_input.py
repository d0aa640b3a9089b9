"""A load that cannot begin, and why: exit codes of 64 and above, after BSD's sysexits."""

from __future__ import annotations

__all__ = ["BROKEN", "INTERRUPTED", "NOT_ALLOWED", "NOT_OPENIM", "NO_FILE", "UNREACHABLE", "USAGE", "BadInput"]

USAGE, NO_FILE, UNREACHABLE, NOT_OPENIM, NOT_ALLOWED = 64, 66, 69, 76, 77
BROKEN, INTERRUPTED = 70, 130


class BadInput(Exception):
    """What was asked cannot be done; one line for a person, and the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
