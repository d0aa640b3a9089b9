"""The log lines of the command: JSON for a collector, text for a terminal.

The product's modules log with the standard library's `logging.getLogger`; structlog renders their records. A thread
writes them: a reader of the log that stops reading, or a slow disk, does not stop the node. An embedding host
configures logging itself, so only the command calls `configure`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import re
import threading
from datetime import UTC, datetime
from logging.handlers import QueueHandler, WatchedFileHandler
from queue import Full, Queue
from typing import TYPE_CHECKING, Final, Literal, TextIO

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

if TYPE_CHECKING:
    from io import TextIOWrapper

    from structlog.typing import EventDict, WrappedLogger

__all__ = ["Logs", "configure"]

_NOISY: Final = ("websockets", "httpx", "httpcore", "asyncio")
"""Loggers of libraries that report single requests at INFO or DEBUG. Only their warnings and errors are shown."""
_SECRET: Final = re.compile(
    r"((?:token|secret|password)=)[^&\s\"']+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE
)
_EXTRA: Final = (
    "actor", "address", "crashes", "quarantine_s", "strikes", "version", "settings", "ws", "api", "data_dir"
)  # fmt: skip
"""The fields of `extra` that are written. Other fields are dropped, because they were not checked for secrets."""
_LINES_LIMIT: Final = 10_000
"""Number of lines that wait for the writing thread. Further lines are dropped and counted."""
_CLOSE_LIMIT_S: Final = 2.0
"""How long `Logs.close` waits until the waiting lines are written."""


class Logs:
    """The log of this process."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        # Only the thread uses the handler. At exit, logging would wait for the lock of a write that hangs.
        handler.lock = _NoLock()  # type: ignore[assignment]
        self._queue: Queue[logging.LogRecord | None] = Queue(_LINES_LIMIT)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        root = logging.getLogger()
        root.handlers[:] = [_BoundedQueueHandler(self._queue)]
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._thread.start()

    def set_level(self, level: str) -> None:
        """Log this level and those above it: debug, info, warning or error."""
        logging.getLogger().setLevel(level.upper())

    def close(self) -> None:
        """Write the lines that wait, but no longer than two seconds: the reader may have stopped reading."""
        try:
            self._queue.put(None, timeout=_CLOSE_LIMIT_S)
        except Full:
            return
        self._thread.join(_CLOSE_LIMIT_S)

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            with contextlib.suppress(OSError):  # The folder of the log file may be gone for a while.
                self._handler.handle(record)


class _NoLock:
    """A lock that locks nothing. From Python 3.13 on, logging needs a handler to have one."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        pass


class _BoundedQueueHandler(QueueHandler):
    """Passes records to the writing thread. It drops them when the queue is full; the next line says how many."""

    queue: Queue[logging.LogRecord | None]

    def __init__(self, lines: Queue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Make the text now, because its arguments may change. The traceback is rendered by the thread."""
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._dropped:
                text = f"{self._dropped} log lines were dropped: the log is written too slowly"
                self.queue.put_nowait(logging.makeLogRecord({
                    "name": "greenroom.logs", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text
                }))  # fmt: skip
                self._dropped = 0
            self.queue.put_nowait(record)
        except Full:
            self._dropped += 1


class _LogFile(WatchedFileHandler):
    """Opens a file that was moved again, under its name. A file that it creates is private to the node's user; one that
    was there keeps its mode, because who rotates the logs may have chosen it."""

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return open(fd, "a", encoding=self.encoding)


class _Descriptor:
    """Stderr without Python's buffer. A thread that hangs in a write would hold the lock of the buffer when the process
    ends, and Python would abort."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        data = text.encode(errors="backslashreplace")
        while data:
            data = data[os.write(self._fd, data) :]

    def flush(self) -> None:
        pass


def configure(
    *,
    level: str = "info",
    style: Literal["auto", "console", "json"] | str = "auto",
    file: str = "",
    stream: TextIO | None = None,
) -> Logs:
    """Set up the logging of this process: to a file, to a stream, or to stderr. Raises OSError if the file cannot be
    opened."""
    is_terminal = not file and (os.isatty(2) if stream is None else stream.isatty())
    as_json = style == "json" or (style == "auto" and not is_terminal)
    handler: logging.Handler
    if file:
        handler = _LogFile(file, encoding="utf-8")
    elif stream is not None:
        handler = logging.StreamHandler(stream)
    else:
        handler = logging.StreamHandler(_Descriptor(2))
    handler.setFormatter(
        ProcessorFormatter(
            processors=[
                add_logger_name,
                add_log_level,
                _add_time,
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
    logs = Logs(handler)
    logs.set_level(level)
    return logs


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The time at which the line was logged. It may be written later."""
    logged_at = datetime.fromtimestamp(event["_record"].created, UTC)
    event["timestamp"] = logged_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, in case a module logs one in spite of the rule."""
    return {name: _masked(value) if isinstance(value, str) else value for name, value in event.items()}


def _masked(text: str) -> str:
    return _SECRET.sub(lambda found: f"{found[1] or ''}***", text)
