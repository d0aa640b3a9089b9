"""What a user can mend is one line on stderr and an exit code, and no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from greenroom.persistence.errors import StoreError
from greenroom.persistence.secret import WeakSecret

__all__ = ["FAILED", "INTERRUPTED", "complain", "told"]

FAILED, INTERRUPTED = 1, 130


def complain(problem: object, code: int) -> int:
    print(f"greenroom: {' '.join(str(problem).split())}", file=sys.stderr)
    return code


def told(run: Callable[[], int], *, failed: int = FAILED) -> int:
    """The exit code of `run`; `failed` when the system or the data directory is against it."""
    try:
        return run()
    except (StoreError, WeakSecret) as problem:
        return complain(problem, failed)
    except OSError as problem:
        return complain(f"{problem.filename or ''} {problem.strerror or problem}".strip(), failed)
    except KeyboardInterrupt:
        return INTERRUPTED
