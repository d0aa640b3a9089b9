"""Signals: those that end a process unless it handles them."""

from __future__ import annotations

import signal
from typing import Final

__all__ = ["FATAL"]

_FAULTS: Final = ("KILL", "STOP", "ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP")
"""Cannot be handled, or report a fault of the process itself."""
_HARMLESS: Final = ("CHLD", "CONT", "URG", "WINCH", "TSTP", "TTIN", "TTOU")
"""Their default action does not end the process (signal(7))."""

FATAL: Final = frozenset(signal.valid_signals()) - {getattr(signal, f"SIG{name}") for name in (*_FAULTS, *_HARMLESS)}
"""The signals whose default action ends the process, and that can be handled (signal(7))."""
