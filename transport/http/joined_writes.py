"""Writes an answer's head together with the first piece of its body, and adds the headers that all answers have."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.transport.http.unsent_answers import UnsentAnswers

__all__ = ["CommonHeaders", "JoinedWrites"]

_CORS: Final = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-allow-methods: *\r\n"
    b"access-control-allow-headers: *\r\n"
    b"access-control-expose-headers: Content-Length, Access-Control-Allow-Origin, Access-Control-Allow-Headers,"
    b"Cache-Control,Content-Language,Content-Type,Expires,Last-Modified,Pragma,FooBar\r\n"
    b"access-control-max-age: 172800\r\n"
    b"access-control-allow-credentials: false\r\n"
)
_JOINED_BYTES: Final = 65536
"""A larger piece is written by itself, because joining would copy it."""


class CommonHeaders:
    """The headers that all answers have: CORS and the date. uvicorn would check them for each answer, which costs a
    tenth of a call's time."""

    def __init__(self) -> None:
        self.lines = b""
        """The header lines with their line ends, and the empty line that ends a head."""
        self.update_date()

    def update_date(self) -> None:
        """Update the date. It has seconds, so this must be called once a second."""
        self.lines = b"%bdate: %b\r\n\r\n" % (_CORS, formatdate(usegmt=True).encode())


class JoinedWrites(asyncio.Transport):
    """A socket's transport that holds an answer's head until the first piece of the body is written.

    uvicorn writes the two separately, which costs a second system call and wakes the client twice. The ASGI
    specification asks servers to hold the head.
    """

    def __init__(self, transport: asyncio.Transport, common: CommonHeaders, unsent: UnsentAnswers) -> None:
        super().__init__()
        self._transport = transport
        self._unsent = unsent
        self._common = common
        self._head = b""
        self._expects_head = False

    def begin_answer(self) -> None:
        """The next write is an answer's head, unless it is a 100 Continue."""
        self._expects_head = True

    def write(self, data: Any) -> None:
        if self._head:
            if len(data) > _JOINED_BYTES:
                self.flush()
                self._unsent.make_room(self._transport, len(data))
            else:
                data, self._head = self._head + data, b""
        elif self._expects_head and not data.startswith(b"HTTP/1.1 100 "):
            self._expects_head = False
            self._head = data[:-2] + self._common.lines
            return
        if not self._transport.is_closing():
            self._transport.write(data)

    def flush(self) -> None:
        """Write the head of an answer that has no body."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
