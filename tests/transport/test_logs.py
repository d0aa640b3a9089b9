from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from greenroom.transport import logs as logs_module
from greenroom.transport.logs import configure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJVc2VySUQiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the log lines go. Logging is restored afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_log_file_is_private_unless_it_was_there(lines: io.StringIO, tmp_path: Path) -> None:
    """Also the one that is made after a log was moved away."""
    file, moved = tmp_path / "node.log", tmp_path / "node.log.1"
    kept = tmp_path / "kept.log"
    kept.touch(0o644)
    kept.chmod(0o644)
    for path in (kept, file):
        logs = configure(file=str(path))
        logging.getLogger("greenroom.x").warning("one")
        logs.close()
        handler = logs._handler
        if path is kept:
            handler.close()
    assert file.stat().st_mode & 0o777 == 0o600
    file.rename(moved)
    handler.handle(logging.makeLogRecord({"msg": "two", "levelname": "INFO"}))
    handler.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o644
    assert ("one" in moved.read_text(), "two" in file.read_text()) == (True, True)


def test_handler_has_what_logging_needs_of_a_lock(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 calls `acquire` and `release`; `handle` of 3.13 is as here."""

    def handle(self: logging.Handler, record: logging.LogRecord) -> bool:
        assert self.lock is not None
        with self.lock:
            self.emit(record)
        return True

    for way in (logging.Handler.handle, handle):
        monkeypatch.setattr(logging.StreamHandler, "handle", way, raising=False)
        logs = configure(style="json", stream=lines)
        logging.getLogger("greenroom.x").info("one")
        logs.close()
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == ["one", "one"]


def test_json_lines_without_secrets(lines: io.StringIO) -> None:
    logs = configure(style="json", stream=lines)
    logging.getLogger("greenroom.x").info("GET /?sendID=a&token=%s&platformID=5", "abc")
    extra = {"address": "user/a", "actor": f"t {TOKEN}", "token": TOKEN, "content": "hello", "crashes": 2}
    logging.getLogger("greenroom.y").warning("t %s", TOKEN, extra=extra)
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        logging.getLogger("greenroom.z").exception("failed")
    logs.close()
    first, second, third = map(json.loads, lines.getvalue().splitlines())
    assert first["event"] == "GET /?sendID=a&token=***&platformID=5"
    assert second.pop("timestamp").endswith("Z")
    assert second == {
        "event": "t ***", "logger": "greenroom.y", "level": "warning",
        "actor": "t ***", "address": "user/a", "crashes": 2,
    }  # fmt: skip
    assert "ValueError" in third["exception"]
    assert TOKEN not in lines.getvalue()


def test_lines_for_a_terminal(lines: io.StringIO) -> None:
    logs = configure(style="console", stream=lines)
    logging.getLogger("greenroom.x").warning("two", extra={"crashes": 2, "address": "user/a b"})
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        logging.getLogger("greenroom.z").exception("failed")
    logs.close()
    first, second, *below = lines.getvalue().splitlines()
    line = f"[warning  ] {'two':<30} [greenroom.x] address='user/a b' crashes=2"
    assert first.partition("Z ")[2] == line
    assert second.partition("Z ")[2] == f"[error    ] {'failed':<30} [greenroom.z]"
    assert below[0].startswith("Traceback")
    assert below[-1] == "ValueError: bad ***"


def test_levels_and_other_peoples_loggers(lines: io.StringIO) -> None:
    logs = configure(level="debug", style="console", stream=lines)
    logging.getLogger("websockets.server").debug("> frame")
    logging.getLogger("greenroom.x").debug("ours")
    logs.close()
    assert "ours" in lines.getvalue()
    assert "frame" not in lines.getvalue()


def test_full_queue_drops_lines_and_says_so(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader stops reading at the first line."""
    reads_again = threading.Event()
    write = lines.write

    def blocked(text: str) -> int:
        assert reads_again.wait(10)
        return write(text)

    monkeypatch.setattr(lines, "write", blocked)
    monkeypatch.setattr(logs_module, "_LINES_LIMIT", 3)
    logs = configure(style="json", stream=lines)
    for number in range(50):
        logging.getLogger("greenroom.x").info("line %d", number)
    reads_again.set()
    while logging.getLogger().handlers[0].queue.qsize():  # type: ignore[attr-defined]
        pass
    logging.getLogger("greenroom.x").info("the last")
    logs.close()
    events = [json.loads(line)["event"] for line in lines.getvalue().splitlines()]
    dropped = [int(event.split()[0]) for event in events if "were dropped" in event]
    assert events[-1] == "the last"
    assert sum(dropped) + len(events) - len(dropped) == 51
    assert len(events) <= 7
