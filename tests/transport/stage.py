"""A gateway on a loop base with stub entities, and a client that speaks the envelope. For the gateway's tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect

from greenroom.actors.errors import GreenroomError
from greenroom.actors.health import Health
from greenroom.actors.messages import Caller, CloseSession, KickSession, OpenSession, Push, SendMessage
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.rules.tokens import Authenticator, Claims
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Failed
from greenroom.actors.session_table import SessionTable
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.settings import LimitsSettings, OverloadSettings
from greenroom.transport.admission import Admission
from greenroom.transport.envelope.codec import Request, Response, codec
from greenroom.transport.gateway.gateway import Gateway
from greenroom.transport.listening import listening_socket
from greenroom.transport.rate_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.settings import WebSocketSettings


UPGRADE = (
    "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
"""The headers of a request that asks for WebSocket."""


def get(path: str, headers: str = UPGRADE) -> str:
    return f"GET {path} HTTP/1.1\r\n{headers}\r\n"


class TokenExpired(GreenroomError):
    code = 1501
    name = "TokenExpiredError"


class TokenMalformed(GreenroomError):
    code = 1503
    name = "TokenMalformedError"


class TokenKicked(GreenroomError):
    code = 1506
    name = "TokenKickedError"


class RecordNotFound(GreenroomError):
    code = 1004
    name = "RecordNotFoundError"


class StubAuthenticator(Authenticator):
    """A token is `<user>-<platform>-<word>`; the words `expired` and `malformed` fail."""

    def __init__(self) -> None: ...

    def parse(self, token: str) -> Claims:
        if token.endswith("expired"):
            raise TokenExpired
        if token.count("-") != 2 or token.endswith("malformed"):
            raise TokenMalformed
        user_id, platform_id, _ = token.split("-")
        return Claims(user_id, int(platform_id), 0, token.encode())


class StubQueries(Queries):
    """Answers with what it was asked; `gate` holds 1001 back, user `nobody` is not found, `bug` fails."""

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.calls: list[tuple[str, Caller]] = []

    async def newest_seqs(self, caller: Caller, request: sdkws_pb2.GetMaxSeqReq) -> bytes:
        self.calls.append(("newest_seqs", caller))
        if self.gate is not None:
            await self.gate.wait()
        if request.userID == "nobody":
            raise RecordNotFound
        if request.userID == "bug":
            raise ValueError("secret body")
        return sdkws_pb2.GetMaxSeqResp(maxSeqs={"si_a_b": 7}).SerializeToString()

    async def pull_by_range(self, caller: Caller, request: sdkws_pb2.PullMessageBySeqsReq) -> bytes:
        self.calls.append(("pull_by_range", caller))
        return b""

    async def pull_by_seqs(self, caller: Caller, request: msg_pb2.GetSeqMessageReq) -> bytes:
        self.calls.append(("pull_by_seqs", caller))
        return b""

    async def seq_states(self, caller: Caller, request: msg_pb2.GetConversationsHasReadAndMaxSeqReq) -> bytes:
        self.calls.append(("seq_states", caller))
        return b""

    async def last_messages(self, caller: Caller, request: msg_pb2.GetLastMessageReq) -> bytes:
        self.calls.append(("last_messages", caller))
        return b""


class StubUser(Entity):
    """Opens sessions, except for tokens whose word is `kicked`; `early` gets a push before its answer."""

    def __init__(self, stage: Stage, user_id: str) -> None:
        self.stage = stage
        self.user_id = user_id

    def receiveMsg_OpenSession(self, message: OpenSession, sender: Address) -> None:
        self.stage.opened.append(message)
        if message.digest.endswith(b"kicked"):
            self.send(sender, Failed(message.ref, TokenKicked()))
            return
        if message.digest.endswith(b"silent"):
            return
        self.stage.sessions.open(self.user_id, message.connection)
        if message.digest.endswith(b"early"):
            self.stage.push(self.user_id, b"early")
        self.send(sender, Answer(message.ref))

    def receiveMsg_CloseSession(self, message: CloseSession, sender: Address) -> None:
        self.stage.sessions.close(self.user_id, message.connection)
        self.stage.closed.append(message)
        self.stage.changed.set()


class StubConversation(Entity):
    """Answers sends at once, or when `release` is called while `stage.hold_sends`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def receiveMsg_SendMessage(self, message: SendMessage, sender: Address) -> None:
        self.stage.sent.append(message)
        self.stage.changed.set()
        if message.message.clientMsgID == "refused":
            self.send(sender, Failed(message.ref, RecordNotFound()))
            return
        answer = Answer(message.ref, msg_pb2.SendMsgResp(clientMsgID=message.message.clientMsgID, sendTime=1))
        if self.stage.hold_sends:
            self.stage.held.append((sender, answer))
        else:
            self.send(sender, answer)


class Stage:
    """A gateway that listens, as an async context manager."""

    def __init__(self, settings: WebSocketSettings, *, tick_s: float = 0.05) -> None:
        self.settings = settings
        self.overload = OverloadSettings(answer_within_s=0.2, requests_floor=256, patience_s=0.2)
        self.limits = LimitsSettings(
            sends_per_s=1.0, sends_burst=1000, changes_per_s=1.0, changes_burst=1000, anonymous_per_s=1.0,
            anonymous_burst=1000, exempt_loopback=True, trusted_proxies=(),
        )  # fmt: skip
        self.tick_s = tick_s
        self.opened: list[OpenSession] = []
        self.closed: list[CloseSession] = []
        self.sent: list[SendMessage] = []
        self.held: list[tuple[Address, Answer]] = []
        self.hold_sends = False
        self.changed = asyncio.Event()
        self.queries = StubQueries()

    async def __aenter__(self) -> Stage:
        self.base = LoopBase(asyncio.get_running_loop())
        self.base.register_kind("user", lambda id_: StubUser(self, id_), idle_timeout_s=None)
        self.base.register_kind("conversation", lambda id_: StubConversation(self), idle_timeout_s=None)
        loop = asyncio.get_running_loop()
        self.health = Health()
        self.sessions = SessionTable(
            watched_users_limit=self.settings.watched_users_limit, health=self.health, loop=loop
        )
        self.admission = Admission(
            loop, self.overload, self.health, max_connections=self.settings.max_connections
        )
        self.gateway = Gateway(
            self.base,
            settings=self.settings,
            admission=self.admission,
            limits=Limits(self.limits, self.health, loop.time),
            authenticator=StubAuthenticator(),
            address_of=address_of,
            queries=self.queries,
            sessions=self.sessions,
            tick_s=self.tick_s,
        )
        await self.gateway.start(listening_socket("127.0.0.1", 0))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.gateway.stop()
        await self.base.shutdown(grace_s=1.0)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is checked again whenever an entity gets a message."""
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.02)
                except TimeoutError:
                    continue

    def push(self, user_id: str, content: bytes) -> list[str]:
        message = sdkws_pb2.MsgData(sendID="a", recvID=user_id, content=content, seq=1).SerializeToString()
        return self.sessions.push(Push("si_a_b", message, "op-push"), [user_id])

    def release(self, count: int) -> None:
        for sender, answer in self.held[:count]:
            self.base.tell(sender, answer)
        del self.held[:count]

    def url(self, user_id: str = "a", platform_id: int = 2, word: str = "good", **more: str) -> str:
        fields = {
            "sendID": user_id,
            "token": f"{user_id}-{platform_id}-{word}",
            "platformID": str(platform_id),
            "operationID": "op1",
            "isBackground": "false",
            **more,
        }
        query = "&".join(f"{name}={value}" for name, value in fields.items() if value is not None)
        return f"ws://127.0.0.1:{self.gateway.port}/?{query}"

    async def client(
        self, user_id: str = "a", platform_id: int = 2, word: str = "good", **more: str
    ) -> Client:
        url = self.url(user_id, platform_id, word, **more)
        socket = await connect(url, compression=None, ping_interval=None, proxy=None, max_size=None)
        return Client(socket, user_id, more.get("sdkType", "go"), more.get("compression") == "gzip")


def address_of(message: sdkws_pb2.MsgData) -> Address:
    if message.sessionType == 9:
        raise RecordNotFound
    return Address("conversation", f"{message.sendID}_{message.recvID}")


class Client:
    """A device. `async with` closes it."""

    def __init__(self, socket: ClientConnection, user_id: str, sdk_type: Any, compression: bool) -> None:
        self.socket = socket
        self.user_id = user_id
        self.codec = codec(sdk_type, compression)
        self.count = 0

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.socket.close()

    async def ask(self, req_identifier: int, data: bytes = b"", **more: str) -> str:
        """Send a request. Returns its msg_incr."""
        self.count += 1
        fields = {
            "send_id": self.user_id,
            "operation_id": f"op-{self.count}",
            "msg_incr": f"{self.user_id}_{self.count}",
            **more,
        }
        request = Request(req_identifier=req_identifier, data=data, **fields)
        await self.socket.send(self.codec.encode_request(request))
        return request.msg_incr

    async def send_message(self, client_msg_id: str, **more: Any) -> str:
        message = sdkws_pb2.MsgData(
            sendID=self.user_id, recvID="b", clientMsgID=client_msg_id, sessionType=1, **more
        )
        return await self.ask(RequestId.SEND_MESSAGE, message.SerializeToString())

    async def receive(self) -> Response:
        async with asyncio.timeout(30):
            frame = await self.socket.recv()
        assert isinstance(frame, bytes)
        return self.codec.decode_response(frame)

    async def closed(self) -> int:
        """Wait until the server closes. Returns the close code that the client saw."""
        async with asyncio.timeout(30):
            await self.socket.wait_closed()
        return self.socket.close_code or 0


def kick(stage: Stage, opened: OpenSession) -> None:
    stage.base.tell(opened.connection, KickSession())
