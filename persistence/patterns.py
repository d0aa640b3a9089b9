"""Pattern: a regular expression that finds texts, at a cost that grows only linearly with the text.

The engine is the one that SQLite's authors publish as the extension `regexp`, and that comes with APSW. It tries all
ways of a pattern at once instead of one after the other, so no pattern takes exponential time, as some do with `re`.
It knows `.`, classes, `|`, groups, `*`, `+`, `?`, `{n,m}`, `^`, `$`, `\\b`, `\\d`, `\\s`, `\\w` (or upper case).
It has no back-references and no look-around, which have no such bound.
"""

from __future__ import annotations

import os
from typing import Final

import apsw

__all__ = ["Pattern"]

TEXT_LIMIT: Final = 256
"""Number of characters of a text that are searched."""
SIZE_LIMIT: Final = 128
"""Bounds the states of a compiled pattern, by which the cost of a character grows: to 75 and half of this number. It is
also the maximum length of a plain text."""

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")


class Pattern:
    """Upper and lower case are equal. One search takes at most about 2 ms, a usual one 3 microseconds."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for a text that is no pattern, or a pattern that is too large."""
        if len(text) > SIZE_LIMIT:
            raise ValueError("it is too long")
        if "\0" in text or (len(text) - len(text.rstrip("\\"))) % 2:
            raise ValueError("it ends in a backslash or has a NUL")
        self.is_plain = not _SPECIAL & set(text)
        """Whether it has no special characters, so that searching costs next to nothing."""
        self._text = text.casefold() if self.is_plain else "".join(c if c.isascii() else c.casefold() for c in text)
        if not self.is_plain:
            self._engine = _new_engine()
            self._is_found("")

    def is_in(self, text: str) -> bool:
        """Whether the pattern matches a part of the text."""
        folded = text[:TEXT_LIMIT].casefold()
        return self._text in folded if self.is_plain else self._is_found(folded)

    def _is_found(self, folded: str) -> bool:
        try:
            ((found,),) = self._engine.execute("SELECT regexpi(?, ?)", (self._text, folded))
        except apsw.SQLError as error:
            raise ValueError(str(error)) from None
        return bool(found)


def _new_engine() -> apsw.Connection:
    """A connection to no file, whose SQL has the function `regexpi`."""
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(os.path.join(os.path.dirname(apsw.__file__), "sqlite_extra_binaries", "regexp"))
    connection.enable_load_extension(False)
    connection.limit(apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, SIZE_LIMIT)
    return connection
