"""The calls of a node on its files and sockets, as strace saw them: each with the lines of its start and end."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Call", "calls_in", "find_strace", "strace_prefix"]

_LINE = re.compile(r"(?P<pid>\d+) +(?:(?P<name>\w+)\((?P<rest>.*)|<\.\.\. (?P<resumed>\w+) resumed>(?P<tail>.*))")
_TARGET = re.compile(r"\d+<(?P<target>(?:[^<>]|->)*)>?")
_RESULT = re.compile(r"= (-?\d+)(?:<.*>| \w+ \(.*\))?$")
_UNFINISHED = " <unfinished ...>"


class Call(NamedTuple):
    name: str
    target: str
    """The path of the file, or the addresses of the socket."""
    text: str
    start: int
    end: int
    """Lines of the trace, which has the calls of all threads in the order in which the kernel reported them."""
    result: int


def find_strace() -> str:
    """Skips the test without strace, except in CI, where that is an error."""
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed: apt-get install strace")
        pytest.skip("strace is not installed")
    return strace


def strace_prefix(
    trace: Path,
    *,
    calls: str = "write,pwrite64,writev,sendto,sendmsg,fdatasync,fsync",
    shown: tuple[str, ...] = ("-s", "8192", "-yy"),
) -> tuple[str, ...]:
    """The command to run a node under."""
    strace = find_strace()
    # A message may stand anywhere in a page, and a frame may be long: whole buffers.
    return (strace, "-f", "-e", f"trace={calls}", "-e", "signal=none", *shown, "-o", str(trace))


def calls_in(trace: Path) -> Iterator[Call]:
    open_calls: dict[str, tuple[str, str, int]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        found = _LINE.match(line)
        if found is None:
            continue
        pid = found["pid"]
        if found["name"] is not None:
            name, text, start = found["name"], found["rest"], number
            if text.endswith(_UNFINISHED):
                open_calls[pid] = (name, text.removesuffix(_UNFINISHED), start)
                continue
        elif pid in open_calls:
            name, text, start = open_calls.pop(pid)
            text += found["tail"]
        else:
            continue
        target = _TARGET.match(text)
        result = _RESULT.search(text)
        yield Call(
            name,
            target["target"] if target else "",
            text,
            start,
            number,
            int(result[1]) if result else -1,
        )
