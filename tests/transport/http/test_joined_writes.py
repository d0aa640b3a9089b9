"""What is written when, and that only heads are touched."""

from __future__ import annotations

import asyncio
from typing import Any

from greenroom.transport.http.joined_writes import CommonHeaders, JoinedWrites
from greenroom.transport.http.unsent_answers import UnsentAnswers

HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


class Recorder(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[Any] = []

    def write(self, data: Any) -> None:
        self.said.append(bytes(data))

    def write_eof(self) -> None:
        self.said.append("eof")

    def close(self) -> None:
        self.said.append("close")

    def is_closing(self) -> bool:
        return "close" in self.said

    def get_write_buffer_size(self) -> int:
        return 0


def joined() -> tuple[JoinedWrites, list[Any], bytes]:
    socket, common = Recorder(), CommonHeaders()
    return JoinedWrites(socket, common, UnsentAnswers(2**20)), socket.said, HEAD[:-2] + common.lines


def test_head_goes_with_the_body() -> None:
    writes, said, head = joined()
    for piece in (b"{}", b"", b"x" * 70_000):
        writes.begin_answer()
        writes.write(HEAD)
        assert said == []
        writes.write(piece)
        assert b"".join(said) == head + piece
        assert len(said) == (2 if len(piece) > 65536 else 1)
        said.clear()
    assert b"\r\naccess-control-allow-origin: *\r\n" in head
    assert head.endswith(b" GMT\r\n\r\n")


def test_head_without_a_body() -> None:
    for end in ("flush", "close", "write_eof"):
        writes, said, head = joined()
        writes.begin_answer()
        writes.write(HEAD)
        getattr(writes, end)()
        assert said[0] == head


def test_go_ahead_is_no_head() -> None:
    writes, said, head = joined()
    writes.begin_answer()
    writes.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert said == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    writes.write(HEAD)
    writes.write(b"{}")
    assert said[1:] == [head + b"{}"]


def test_body_that_looks_like_a_head() -> None:
    writes, said, head = joined()
    writes.begin_answer()
    for piece in (HEAD, HEAD, HEAD):
        writes.write(piece)
    assert said == [head + HEAD, HEAD]


def test_nothing_is_written_after_the_end() -> None:
    writes, said, _ = joined()
    writes.close()
    writes.begin_answer()
    for piece in (HEAD, b"{}", b"x"):
        writes.write(piece)
    writes.flush()
    assert said == ["close"]
