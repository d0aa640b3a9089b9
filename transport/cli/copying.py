"""What `greenroom backup` and `greenroom restore` print: their progress on stderr, and one line at the end."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final

from greenroom.transport.cli.options import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from greenroom.persistence.sqlite.backup import Copied

__all__ = ["Progress", "failing_at_signals", "summary"]

_STEP_PERCENT: Final = 10
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


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


@contextlib.contextmanager
def failing_at_signals() -> Iterator[None]:
    """While it lasts, a signal that would end the process raises CommandFailed, so that a copy removes what it has
    made. Later signals are ignored: they would interrupt that."""

    def fail(number: int, _: object) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise CommandFailed(f"stopped by {signal.Signals(number).name}: no copy was made", exit_code=128 + number)

    before = {one: signal.getsignal(one) for one in _SIGNALS}
    try:
        for one in _SIGNALS:
            if before[one] != signal.SIG_IGN:  # As nohup has it.
                signal.signal(one, fail)
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
