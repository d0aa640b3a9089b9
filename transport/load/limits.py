"""What a process of the harness sets for itself: how many files it may open, and when garbage is looked for."""

from __future__ import annotations

import gc
import resource

__all__ = ["raise_file_limit", "tune_collector"]

YOUNG_OBJECTS = 50_000
"""Virtual users are long-lived and messages hold no cycles: the default of 700 walks them for nothing."""


def raise_file_limit() -> int:
    """As many open files as the system allows; returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def tune_collector() -> None:
    gc.set_threshold(YOUNG_OBJECTS, 50, 50)
