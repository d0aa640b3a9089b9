"""Problems that the user can solve: one line on stderr and an exit code, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from greenroom.persistence.errors import StoreError
from greenroom.persistence.secret import WeakSecret
from greenroom.transport.cli.standard_streams import drop_unwritable_output
from greenroom.transport.client.printable import printable

__all__ = ["FAILED", "INTERRUPTED", "complain", "exit_code_of"]

FAILED, INTERRUPTED = 1, 130


def complain(problem: object, code: int) -> int:
    """Print the problem on one line of stderr. Returns the code."""
    print(f"greenroom: {printable(' '.join(str(problem).split()))}", file=sys.stderr)
    return code


def exit_code_of(run: Callable[[], int], *, failed: int = FAILED) -> int:
    """The exit code of `run`. After an error of the operating system, the store or the secret: complain, and return
    `failed`. No complaint if the reader of stdout has gone, as `head` does."""
    try:
        code = run()
        sys.stdout.flush()  # Here, because Python prints a traceback if it cannot do it at the end.
        return code
    except (StoreError, WeakSecret) as problem:
        return complain(problem, failed)
    except OSError as problem:
        drop_unwritable_output()
        if isinstance(problem, BrokenPipeError):
            return failed
        where = f"{problem.filename}: " if problem.filename else ""
        return complain(f"{where}{problem.strerror or problem}", failed)
    except KeyboardInterrupt:
        return INTERRUPTED
