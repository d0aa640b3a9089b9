"""The command `greenroom`. Loaded by the command only: it may print, set up logging and read the terminal."""

from __future__ import annotations
