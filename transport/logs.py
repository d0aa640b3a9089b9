"""Log lines of the command: JSON for a collector, text for a terminal. Never called when embedded.

What could be a secret is taken out here, too: a net under the rule that nobody logs one.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

__all__ = ["configure"]

_QUIET = ("websockets", "httpx", "httpcore", "asyncio")
"""Other people's loggers, which at INFO or DEBUG tell of single requests; from WARNING on they may speak."""
_SECRET_TEXT = re.compile(
    r"((?:token|secret|password)=)[^&\s\"']+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE
)
_FIELDS: Final = ("actor", "address", "crashes", "quarantine_s", "strikes")
"""What records may carry beside their text; nothing else of them is written."""
_BELOW: Final = ("stack", "exception")
"""What a terminal gets on lines of its own."""
_NEEDS_QUOTES = re.compile(r"[\s=\"]")
_BOLD, _DIM, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = "1", "2", "31", "32", "33", "34", "35", "36"
_LEVEL_COLOURS: Final = {"warning": _YELLOW, "error": _RED, "critical": _RED}


def configure(
    *,
    level: str = "info",
    style: Literal["auto", "console", "json"] | str = "auto",
    stream: TextIO | None = None,
) -> None:
    """Set up the process's logging, once."""
    stream = sys.stderr if stream is None else stream
    as_json = style == "json" or (style == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if as_json else _Text(in_colour=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.event(record), default=repr)

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """What a record tells, without secrets."""
        given = record.__dict__
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        event: dict[str, Any] = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": f"{moment.isoformat(timespec='microseconds')}Z",
            **{name: given[name] for name in _FIELDS if name in given},
        }
        if record.stack_info:
            event["stack"] = record.stack_info
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return {name: _without_secrets(value) for name, value in event.items()}


class _Text(_Json):
    def __init__(self, *, in_colour: bool) -> None:
        super().__init__()
        self._in_colour = in_colour

    def format(self, record: logging.LogRecord) -> str:
        event, paint = self.event(record), self._paint
        level = event["level"]
        line = [
            paint(event["timestamp"], _DIM),
            f"[{paint(f'{level:<9}', _BOLD, _LEVEL_COLOURS.get(level, _GREEN))}]",
            paint(f"{event['event']:<30}", _BOLD),
            f"[{paint(event['logger'], _BOLD, _BLUE)}]",
            *(f"{paint(name, _CYAN)}={paint(_shown(event[name]), _MAGENTA)}" for name in _FIELDS if name in event),
        ]
        return "\n".join([" ".join(line), *(event[name] for name in _BELOW if name in event)])

    def _paint(self, text: str, *colours: str) -> str:
        return f"\x1b[{';'.join(colours)}m{text}\x1b[0m" if self._in_colour else text


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and not _NEEDS_QUOTES.search(value) else repr(value)


def _without_secrets(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _SECRET_TEXT.sub(lambda found: f"{found.group(1) or ''}***", value)
