"""Where an error was raised, for the log: files and lines, without the error's text and without values, which may quote
a message."""

from __future__ import annotations

import traceback

__all__ = ["frames_of"]


def frames_of(error: BaseException) -> list[str]:
    """The frames that the error went through, such as `feed.py:115 in _run`, with whole paths. The last one raised
    it."""
    return [
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
