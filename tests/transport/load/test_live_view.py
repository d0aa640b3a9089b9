"""What a person sees on a terminal while a load runs: one table that changes in place."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.load_kit import SHORT
from greenroom.tests.kit.node_kit import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess

pytestmark = [pytest.mark.ci, pytest.mark.timeout(60)]

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CURSOR_UP = "\x1b[1A"


def _read_all(terminal: int) -> str:
    """Until the other side is closed."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has left the terminal.
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode(errors="replace")


async def test_table_on_a_terminal(node: NodeProcess, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "greenroom", "load", "one-to-one", "--users", "4", "--rate", "40", *SHORT,
        "--ws", node.ws_url, "--api", node.api_url,
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path,
        env={**os.environ, "GREENROOM_SECRET": SECRET, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40"},
    )  # fmt: skip
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    os.close(ours)
    text = ESCAPE.sub("", shown)
    assert await process.wait() == 0, text
    assert CURSOR_UP in shown, "nothing was drawn over"
    assert re.search(r"load: \d+ of 2.3 s", text)
    for row in ("planned", "acked", "received", "failed", "connections", "harness"):
        assert re.search(rf"^\s*{row} .*\d", text, re.MULTILINE), row
    assert re.search(r"acked +\d+/s +\d+ +\d+\.\d ms +\d+\.\d ms +\d+\.\d ms", text)
    assert "nothing was lost (exit code 0)" in text
