"""`greenroom serve`, in two lives of one process: the first reads the command line, the second is the node.

What reads a command line is a tenth of a node's memory, and imported it stays. So the process begins anew, by exec:
its id, arguments, environment and files are the same, and what was read is waiting for it in a pipe.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

import msgspec

from greenroom.persistence.settings import Settings, SettingsError
from greenroom.transport.cli.problems import told
from greenroom.transport.cli.urls import api_url, ws_url
from greenroom.transport.logs import configure

__all__ = ["Line", "Listening", "RunNode", "begin_anew", "line_read", "serve"]

_PIPE = "GREENROOM_LINE_READ"
"""Environment variable of the second life: where it finds the first one's `Line`."""


class Line(msgspec.Struct, frozen=True):
    """A command line that was read."""

    settings: Settings
    typed: str
    """The options as they would be typed, to show another command for the same node."""


class Listening(Protocol):
    """A node that has started."""

    ws_port: int
    api_port: int


class RunNode(Protocol):
    def __call__(self, settings: Settings, *, on_start: Callable[[Listening], None]) -> int:
        """Run a node until it is told to end; returns the exit code."""


def begin_anew(line: Line) -> NoReturn:
    """Begin this process's second life. Raises SettingsError, OSError."""
    # By the standard library: of names of files that are no UTF-8 it is the store that complains.
    data = json.dumps(msgspec.to_builtins(line)).encode()
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    if os.write(ours, data) < len(data):
        raise SettingsError("the settings are longer than a pipe holds")
    os.set_inheritable(theirs, True)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _PIPE: str(theirs)})


def line_read() -> Line | None:
    """In its second life what the first has read, once; in the first None."""
    pipe = os.environ.pop(_PIPE, None)
    if pipe is None:
        return None
    with open(int(pipe), "rb") as data:
        return msgspec.convert(json.load(data), Line)


def serve(line: Line, run_node: RunNode) -> int:
    """Run a node until it is told to end; returns the exit code."""
    node = line.settings.node
    configure(level=node.log_level, style=node.log_format)
    return told(lambda: run_node(line.settings, on_start=partial(_greet, line)))


def _greet(line: Line, node: Listening) -> None:
    print(
        f"greenroom listens: {ws_url(line.settings, node.ws_port)} (WebSocket), "
        f"{api_url(line.settings, node.api_port)} (HTTP API)\n"
        "Chat from two more terminals:\n"
        f"  greenroom chat --as alice --to bob{line.typed}\n"
        f"  greenroom chat --as bob --to alice{line.typed}",
        flush=True,
    )
