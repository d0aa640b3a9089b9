"""Text of strangers for a terminal: it may not move the cursor, colour the screen, or reorder what stands around it."""

from __future__ import annotations

from typing import Final
from unicodedata import category

__all__ = ["printable"]

_REPLACED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, halves of surrogate pairs, and line separators. Unassigned characters are kept: they
may be emoji that are newer than this Python."""
_KEPT: Final = frozenset("\u200c\u200d\u200e\u200f\u061c") | frozenset(map(chr, range(0xE0020, 0xE0080)))
"""Format characters that text needs: the (non-)joiners of emoji, Persian and Indic scripts, the marks of direction, and
the letters of flags. Those that embed or override a direction reach past the text, so they are replaced."""


def printable(text: str) -> str:
    """The text, with a space for each character that a terminal could obey."""
    if text.isprintable():
        return text
    return "".join(" " if category(letter) in _REPLACED and letter not in _KEPT else letter for letter in text)
