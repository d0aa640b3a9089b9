"""What `greenroom backup` and `greenroom restore` print: their progress on stderr, and one line at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.persistence.sqlite.backup import Copied

__all__ = ["Progress", "summary"]

_STEP_PERCENT: Final = 10


class Progress:
    """Prints a line for each tenth of the copy, and one for the check."""

    def __init__(self) -> None:
        self._printed = 0
        """Percent of the last line."""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what == "check":
            print("checking the copy", file=sys.stderr, flush=True)
            return
        percent = 100 * done // total if total else 100
        percent -= percent % _STEP_PERCENT
        if percent > self._printed:
            self._printed = percent
            print(f"{percent} % of {total / 1e6:.1f} MB copied", file=sys.stderr, flush=True)


def summary(folder: Path, copied: Copied) -> str:
    return f"{folder}: {copied.size / 1e6:.1f} MB, {copied.commits} commits, checked: no findings"
