"""The command `greenroom`. Only `__main__` imports it, so it may print, read the terminal, and exit."""

from __future__ import annotations
