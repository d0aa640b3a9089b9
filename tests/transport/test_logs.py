from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from greenroom.transport.logs import configure

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJVc2VySUQiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where log lines go; logging is as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_without_secrets(lines: io.StringIO) -> None:
    configure(style="json", stream=lines)
    logging.getLogger("greenroom.x").info("GET /?sendID=a&token=%s&platformID=5", "abc")
    structlog.get_logger("greenroom.y").info("stored", user="a", token=TOKEN, content="hello", note=f"t {TOKEN}")
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        logging.getLogger("greenroom.z").exception("failed")
    first, second, third = map(json.loads, lines.getvalue().splitlines())
    assert first["event"] == "GET /?sendID=a&token=***&platformID=5"
    assert (second["user"], second["token"], second["content"], second["note"]) == ("a", "***", "***", "t ***")
    assert "ValueError" in third["exception"]
    assert TOKEN not in lines.getvalue()


def test_levels_and_other_peoples_loggers(lines: io.StringIO) -> None:
    configure(level="debug", style="console", stream=lines)
    logging.getLogger("websockets.server").debug("> frame")
    logging.getLogger("uvicorn.access").warning("GET")
    logging.getLogger("greenroom.x").debug("ours")
    assert "ours" in lines.getvalue()
    assert "frame" not in lines.getvalue()
    assert "GET" not in lines.getvalue()
