"""JSON as Go's encoding/json reads and writes it, where Go differs from Python.

Objects stay lists of pairs, because Go accepts keys in any case and lets the later of two duplicates win. Only code
that knows the keys can apply that rule. Bytes that are not UTF-8, and halves of surrogate pairs, become U+FFFD.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

__all__ = ["ELEMENTS_LIMIT", "JsonMalformed", "JsonObject", "JsonTooLong", "escape", "parse"]

ELEMENTS_LIMIT: Final = 16_000
"""Elements of all lists and objects together. Each costs up to a microsecond and the parser cannot be interrupted, so
this bounds how long it holds the loop. A request may list 10,000 seqs, or a thousand objects of some fields."""


class JsonMalformed(ValueError):
    """Bytes that are not JSON, or JSON that is nested too deeply."""


class JsonTooLong(JsonMalformed):
    """JSON with too many elements or escapes. The text says how many there may be."""


class JsonObject(list[tuple[str, Any]]):
    """The (key, value) pairs of an object, in their order and with duplicates."""


def _refuse(_: str) -> NoReturn:
    raise JsonMalformed("not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=JsonObject, parse_constant=_refuse)
_HALF_PAIR = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_SURROGATE = re.compile(r"\\u[dD]")
"""An escape that may be half of a pair. A search for two texts would take much longer on texts that nearly match."""
_ESCAPES_LIMIT = 100_000
"""Escapes in all texts together; ELEMENTS_LIMIT of them if one of them may be half of a pair, as each is looked at."""
_REPLACED_LIMIT_BYTES = 256 * 1024
"""Longer bytes that are not UTF-8 are refused, because replacing each takes long."""


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        if len(data) > _REPLACED_LIMIT_BYTES:
            raise JsonMalformed("not UTF-8") from None
        return data.decode("utf-8", "replace")


def parse(data: bytes) -> Any:
    """Read one JSON value. Objects become JsonObject. Raises JsonMalformed."""
    if len(data) > ELEMENTS_LIMIT:
        # Commas inside of texts count too, so this may refuse what has some fewer elements.
        if data.count(b",") > ELEMENTS_LIMIT:
            raise JsonTooLong(f"at most {ELEMENTS_LIMIT} elements")
        if data.count(b"\\") > _ESCAPES_LIMIT:
            raise JsonTooLong(f"at most {_ESCAPES_LIMIT} escapes")
    text = _decode(data)
    if "\\" in text and _SURROGATE.search(text):
        if text.count("\\") > ELEMENTS_LIMIT:
            raise JsonTooLong(f"at most {ELEMENTS_LIMIT} escapes")
        text = _HALF_PAIR.sub(lambda match: "\ufffd" if match["half"] else match[0], text)
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise JsonMalformed("not JSON") from None


_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def escape(data: bytes) -> bytes:
    """Escape the characters that Go escapes to make JSON safe in HTML. In JSON they occur only inside strings."""
    for raw, escaped in _ESCAPES:
        if raw in data:
            data = data.replace(raw, escaped)
    return data
