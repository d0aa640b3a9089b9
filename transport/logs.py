"""The log lines of the command: JSON for a collector, text for a terminal.

The product's modules log with the standard library's `logging.getLogger`; structlog renders their records. An
embedding host configures logging itself, so only the command calls `configure`.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Final, Literal, TextIO

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

__all__ = ["configure"]

_NOISY: Final = ("websockets", "httpx", "httpcore", "asyncio")
"""Loggers of libraries that report single requests at INFO or DEBUG. Only their warnings and errors are shown."""
_SECRET: Final = re.compile(
    r"((?:token|secret|password)=)[^&\s\"']+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE
)
_EXTRA: Final = ("actor", "address", "crashes", "quarantine_s", "strikes")
"""The fields of `extra` that are written. Other fields are dropped, because they were not checked for secrets."""


def configure(
    *,
    level: str = "info",
    style: Literal["auto", "console", "json"] | str = "auto",
    stream: TextIO | None = None,
) -> None:
    """Set up the logging of this process."""
    stream = sys.stderr if stream is None else stream
    is_terminal = stream.isatty()
    as_json = style == "json" or (style == "auto" and not is_terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            processors=[
                add_logger_name,
                add_log_level,
                TimeStamper(fmt="iso", utc=True),
                ExtraAdder(_EXTRA),
                ProcessorFormatter.remove_processors_meta,
                format_exc_info,
                _mask_secrets,
                JSONRenderer()
                if as_json
                else ConsoleRenderer(colors=is_terminal, exception_formatter=plain_traceback),
            ]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, in case a module logs one in spite of the rule."""
    return {name: _masked(value) if isinstance(value, str) else value for name, value in event.items()}


def _masked(text: str) -> str:
    return _SECRET.sub(lambda found: f"{found[1] or ''}***", text)
