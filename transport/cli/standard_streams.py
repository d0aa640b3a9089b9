"""The standard streams of the command: they may be closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["drop_unwritable_output", "open_missing_streams", "say"]


def open_missing_streams() -> None:
    """Open /dev/null in place of closed standard streams. Otherwise the next file or socket that is opened, such as the
    database, would get the number of stdout or stderr, and be written to by `print`.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number, which is `fd`.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (it stays open)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def say(text: str) -> None:
    """Print a text that only a person needs. A stdout that is full or closed does not stop the command."""
    try:
        sys.stdout.write(f"{text}\n")  # In one piece: lines of the log may come between two.
        sys.stdout.flush()
    except (OSError, ValueError):
        drop_unwritable_output()


def drop_unwritable_output() -> None:
    """Drop what remains in the buffer of stdout, if it cannot be written: it would fail once more when the process
    ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
