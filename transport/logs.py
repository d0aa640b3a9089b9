"""Log lines of the command: structured, for a terminal or a collector. Never called when embedded.

What could be a secret is taken out here, too: a net under the rule that nobody logs one.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

__all__ = ["configure"]

_QUIET = ("websockets", "httpx", "httpcore", "uvicorn", "asyncio")
"""Other people's loggers, which at INFO or DEBUG tell of single requests; from WARNING on they may speak."""
_MUTED = ("uvicorn.access",)
_SECRET_KEYS = frozenset({"token", "secret", "password", "authorization", "content"})
_SECRET_TEXT = re.compile(
    r"((?:token|secret|password)=)[^&\s\"']+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE
)
_FIELDS = ("actor", "address", "crashes", "strikes", "quarantine_s")
"""What the standard library's records may carry beside their text."""
_Event = MutableMapping[str, Any]


def configure(
    *,
    level: str = "info",
    style: Literal["auto", "console", "json"] | str = "auto",
    stream: TextIO | None = None,
) -> None:
    """Set up the process's logging, once, for the standard library's loggers and structlog's."""
    structlog = _structlog()
    stream = sys.stderr if stream is None else stream
    as_json = style == "json" or (style == "auto" and not stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ExtraAdder(allow=_FIELDS),
    ]
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        last += [structlog.processors.format_exc_info, _without_secrets, structlog.processors.JSONRenderer()]
    else:
        last += [
            structlog.processors.format_exc_info,
            _without_secrets,
            structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _MUTED:
        logging.getLogger(name).disabled = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _structlog() -> Any:
    """structlog loads rich when it finds it, for tracebacks that are not drawn here: 70 modules, 2.7 MB of a node."""
    is_hidden = "rich" not in sys.modules
    if is_hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        if is_hidden:
            del sys.modules["rich"]
    return structlog


def _without_secrets(logger: Any, method: str, event: _Event) -> _Event:
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(lambda found: f"{found.group(1) or ''}***", value)
    return event
