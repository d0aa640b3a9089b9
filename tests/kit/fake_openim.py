"""A whole OpenIM server in memory, for one pair of users: the gateway of `fake_gateway`, the few routes that a load
needs, and the faults of servers that the harness must judge fairly."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from greenroom.tests.kit.fake_gateway import FakeGateway, conversation_of

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from websockets.asyncio.server import ServerConnection

    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.envelope.codec import Codec, Request

__all__ = ["FakeOpenIm"]

SEND = 1003
STORE_EVERY_S = 0.25


class FakeOpenIm(FakeGateway):
    """`async with` it; `at` are the options that point a command at it."""

    def __init__(
        self, *, hang_at: int = 0, store_late_from: int = 0, lose: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """
        hang_at: with this message, push it to its sender alone, and never answer anybody again.
        store_late_from: from this message on, ack at once, and store one message each STORE_EVERY_S.
        lose: of the messages that are stored late, this many are never stored.
        """
        super().__init__()
        self._hang_at = hang_at
        self._store_late_from = store_late_from
        self._lose = lose
        self.tls = tls
        self._sends = 0
        self._backlog: asyncio.Queue[sdkws_pb2.MsgData] = asyncio.Queue()
        self._storing: asyncio.Task[None] | None = None
        self._api: asyncio.Server | None = None
        self.api_port = 0

    @property
    def at(self) -> tuple[str, ...]:
        s = "s" if self.tls else ""
        return "--ws", f"ws{s}://localhost:{self.port}", "--api", f"http{s}://localhost:{self.api_port}"

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._storing = asyncio.create_task(self._store_late())
        self._api = await asyncio.start_server(self._call, "localhost", 0, ssl=self.tls)
        self.api_port = self._api.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._api is not None
        assert self._storing is not None
        self._api.close()
        self._storing.cancel()
        await asyncio.gather(self._storing, return_exceptions=True)
        await super().__aexit__(kind, error, trace)

    # The API

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                answer = json.dumps({"errCode": 0, "data": self._answer_of(head.split()[1])}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        writer.close()

    def _answer_of(self, path: str) -> dict[str, Any]:
        return {"token": "token of the test"} if "token" in path else {"results": []}

    # The gateway

    async def _answer(self, connection: ServerConnection, kind: Codec, request: Request) -> None:
        if request.req_identifier == SEND and not self.mute:
            self._sends += 1
            if self._sends == self._hang_at:
                sender = self.sessions[connection]
                others = {one: session for one, session in self.sessions.items() if one is not connection}
                self.sessions = {connection: sender}
                await super()._answer(connection, kind, request)
                self.sessions.update(others)
                self.mute = True
                return
        await super()._answer(connection, kind, request)

    def _take(self, message: sdkws_pb2.MsgData) -> tuple[sdkws_pb2.MsgData, sdkws_pb2.MsgData | None]:
        if not self._store_late_from or self._sends < self._store_late_from:
            return super()._take(message)
        message.serverMsgID = f"server-{message.clientMsgID}"
        message.sendTime = 1_700_000_000_000 + self._sends
        if self._lose:
            self._lose -= 1
        else:
            self._backlog.put_nowait(message)
        return message, None

    async def _store_late(self) -> None:
        while True:
            message = await self._backlog.get()
            await asyncio.sleep(STORE_EVERY_S)
            name = conversation_of(message)
            shelf = self.conversations.setdefault(name, [])
            message.status, message.seq = 2, len(shelf) + 1
            shelf.append(message)
            await self.push(name, message)
