"""A virtual user's client: one link after another, and the protocol's rules for gaps. It tells, and never waits.

Lean on purpose: no task for a message, only for a login and for a pull.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.transport.client.errors import ClientError, ConnectionLost, Refused, TokenRejected
from greenroom.transport.client.link import Door, Link
from greenroom.transport.client.message import TEXT
from greenroom.transport.client.pull import Span, pull_all, pull_request
from greenroom.transport.client.ticker import Ticker
from greenroom.transport.client.timeline import Timelines
from greenroom.transport.load.user_messages import (
    Answered,
    Delivered,
    Delivery,
    Lost,
    Opened,
    OpenFailed,
    Unanswered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from greenroom.transport.envelope.codec import Response
    from greenroom.transport.load.population import DeviceName
    from greenroom.transport.load.scenario import Client

__all__ = ["LoadDevice", "LoadDevices"]

NEWEST_SEQ, PULL_BY_RANGE, SEND_MESSAGE, READ_SEQS = 1001, 1002, 1003, 1006
PUSH_MESSAGE, KICK_ONLINE = 2001, 2002
SINGLE_CHAT, GROUP_CHAT, FROM_USER, STATUS_SENDING, STATUS_DELETED = 1, 3, 100, 1, 4
CHATS = ("si_", "sg_")
HANDSHAKE_TIMEOUT_S = 10.0
FRAME_LIMIT_BYTES = 16 * 1024 * 1024
PAGE = 100
"""Messages asked of a conversation at a time, and its share in one pull of several."""
CONVERSATIONS_A_PULL = 8
PULL_TRIES = 5
UNSTORED = {
    "history": False,
    "persistent": False,
    "senderSync": False,
    "conversationUpdate": False,
    "senderConversationUpdate": False,
    "unreadCount": False,
    "offlinePush": False,
}
"""The options of a sign that somebody is typing."""


class LoadDevice:
    """See `device_protocols.Device`. Half-open connections are kept, one at a time, until the end."""

    def __init__(
        self, door: Door, platform_id: int, settings: Client, tell: Callable[[object], None], ticker: Ticker
    ) -> None:
        self.user_id = door.user_id
        self._door = door
        self._platform_id = platform_id
        self._request_timeout_s = settings.request_timeout_s
        self._tell = tell
        self._ticker = ticker
        self._timelines = Timelines(from_beginning=False)
        self._link: Link | None = None
        self._deaf: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._pulling: asyncio.Task[None] | None = None
        self._closed = False
        self._batch: list[Delivery] = []
        self._unanswered: dict[str, bytes] = {}

    @property
    def online(self) -> bool:
        return self._link is not None

    @property
    def caught_up(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self._timelines.behind

    def seq_of(self, conversation_id: str) -> int:
        """Up to where this device has everything."""
        return self._timelines.synced.get(conversation_id, 0)

    # Device

    def open(self) -> None:
        if self._link is None and self._opening is None and not self._closed:
            self._opening = asyncio.create_task(self._open())

    def send(
        self, client_msg_id: str, *, recv_id: str, group_id: str, payload_bytes: int, stored: bool, again: bool
    ) -> None:
        data = self._unanswered.get(client_msg_id, b"") if again else b""
        if not data:
            data = self._unanswered[client_msg_id] = sdkws_pb2.MsgData(
                sendID=self.user_id,
                recvID=recv_id,
                groupID=group_id,
                clientMsgID=client_msg_id,
                senderPlatformID=self._platform_id,
                sessionType=SINGLE_CHAT if recv_id else GROUP_CHAT,
                msgFrom=FROM_USER,
                contentType=TEXT,
                content=_text(client_msg_id, payload_bytes),
                createTime=time.time_ns() // 1_000_000,
                status=STATUS_SENDING,
                options=None if stored else UNSTORED,
            ).SerializeToString()
        link = self._link
        if link is None:
            self._tell(Unanswered(time.monotonic_ns(), client_msg_id, 0, "not connected", True))
            return
        try:
            answer = link.post(SEND_MESSAGE, data)
        except ConnectionLost as problem:
            self._tell(Unanswered(time.monotonic_ns(), client_msg_id, 0, str(problem), True))
            return
        answer.add_done_callback(lambda done: self._answered(client_msg_id, done))

    def drop(self, *, half_open: bool) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if half_open:
            if self._deaf is not None:
                self._deaf.abort()
            self._deaf = link
            link.pause()
            link.forsake(ConnectionLost("the connection was dropped by the scenario"))
        else:
            link.abort()

    def pause(self) -> None:
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        if self._link is not None:
            self._link.resume()

    def close(self) -> None:
        self._closed = True
        self._tell = _nobody
        for task in (self._opening, self._pulling):
            if task is not None:
                task.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.close(ConnectionLost("the run is over"))
        if self._deaf is not None:
            self._deaf.abort()

    # For the audit after the run

    async def read_seqs(self, conversation_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Conversation -> (read up to, newest seq). Raises ClientError, TimeoutError."""
        request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=self.user_id, conversationIDs=conversation_ids)
        answer = msg_pb2.GetConversationsHasReadAndMaxSeqResp.FromString(
            await self._ask(READ_SEQS, request.SerializeToString())
        )
        return {name: (seqs.hasReadSeq, seqs.maxSeq) for name, seqs in answer.seqs.items()}

    async def pull(self, conversation_id: str, begin: int, end: int) -> list[sdkws_pb2.MsgData]:
        """What the server has of these seqs, ascending; at most PAGE of them. Raises ClientError, TimeoutError."""
        return await pull_all(partial(self._ask, PULL_BY_RANGE), self.user_id, Span(conversation_id, begin, end), PAGE)

    async def _ask(self, identifier: int, data: bytes) -> bytes:
        if self._link is None:
            raise ConnectionLost("not connected")
        return await self._link.request(identifier, data)

    # The connection

    async def _open(self) -> None:
        began = time.monotonic_ns()
        link = Link(
            self._door,
            on_push=self._pushed,
            on_lost=self._lost,
            ticker=self._ticker,
            request_timeout_s=self._request_timeout_s,
            max_frame_bytes=FRAME_LIMIT_BYTES,
        )
        try:
            await link.open(timeout_s=HANDSHAKE_TIMEOUT_S)
            self._link = link
            request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
            data = await link.request(NEWEST_SEQ, request.SerializeToString())
            newest: Mapping[str, int] = sdkws_pb2.GetMaxSeqResp.FromString(data).maxSeqs
        except (ClientError, TimeoutError, DecodeError) as problem:
            self._link = self._opening = None
            link.abort()
            final = isinstance(problem, TokenRejected)
            self._tell(OpenFailed(time.monotonic_ns(), f"login: {_reason(problem)}", final))
            return
        except BaseException:
            self._link = self._opening = None
            link.abort()
            raise
        self._opening = None
        self._timelines.learn({name: seq for name, seq in newest.items() if name.startswith(CHATS)})
        at = time.monotonic_ns()
        self._tell(Opened(at, at - began))
        self._pull_soon()

    def _lost(self, link: Link) -> None:
        if link is self._deaf:
            self._deaf = None
        if link is self._link and self._opening is None:
            self._link = None
            self._tell(Lost(time.monotonic_ns(), "the connection was lost"))

    # Sending

    def _answered(self, client_msg_id: str, done: asyncio.Future[bytes]) -> None:
        at = time.monotonic_ns()
        problem = done.exception()
        if problem is None:
            try:
                answer = msg_pb2.SendMsgResp.FromString(done.result())
            except DecodeError as unreadable:
                problem = unreadable
            else:
                del self._unanswered[client_msg_id]
                self._tell(Answered(at, client_msg_id, answer.serverMsgID, answer.sendTime))
                return
        code = problem.code if isinstance(problem, Refused) else 0
        lost = isinstance(problem, ConnectionLost)
        if not lost:
            del self._unanswered[client_msg_id]
        self._tell(Unanswered(at, client_msg_id, code, f"send: {_reason(problem)}", lost))

    # Receiving

    def _pushed(self, envelope: Response) -> None:
        if envelope.req_identifier == PUSH_MESSAGE:
            push = sdkws_pb2.PushMessages.FromString(envelope.data or b"")
            for conversation_id, messages in push.msgs.items():
                for raw in messages.Msgs:
                    if self._timelines.offer(conversation_id, raw.seq):
                        self._take(conversation_id, raw, pulled=False)
            self._hand_over()
            if self._timelines.behind:
                self._pull_soon()
        elif envelope.req_identifier == KICK_ONLINE and self._link is not None:
            link, self._link = self._link, None
            self._tell(Lost(time.monotonic_ns(), "kicked: another login took the place"))
            link.abort()

    def _take(self, conversation_id: str, raw: sdkws_pb2.MsgData, *, pulled: bool) -> None:
        if raw.status < STATUS_DELETED:
            self._batch.append(
                Delivery(
                    conversation_id,
                    raw.seq,
                    raw.clientMsgID,
                    raw.serverMsgID,
                    raw.sendID,
                    raw.sendTime,
                    pulled,
                )
            )

    def _hand_over(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._tell(Delivered(time.monotonic_ns(), batch))

    def _pull_soon(self) -> None:
        if self._timelines.behind and self._pulling is None and self._link is not None and not self._closed:
            self._pulling = asyncio.create_task(self._pull())

    async def _pull(self) -> None:
        failures = 0
        try:
            while self._timelines.behind and self._link is not None and failures < PULL_TRIES:
                spans = list(self._timelines.missing(page=PAGE, conversations=CONVERSATIONS_A_PULL))
                try:
                    data = await self._ask(PULL_BY_RANGE, pull_request(self.user_id, spans, PAGE))
                    answer = sdkws_pb2.PullMessageBySeqsResp.FromString(data)
                except ConnectionLost:
                    return
                except (ClientError, TimeoutError, DecodeError):
                    failures += 1
                    await asyncio.sleep(0.2 * 2**failures)
                    continue
                failures = 0
                for conversation_id, raw in self._timelines.accept_pulled(spans, answer):
                    self._take(conversation_id, raw, pulled=True)
                self._hand_over()
        finally:
            self._pulling = None


class LoadDevices:
    """Makes the devices of one process; `made` has them by their place in the order of making."""

    def __init__(self, ws_url: str, tokens: Mapping[str, str]) -> None:
        self._ws_url = ws_url
        self._tokens = tokens
        self._ticker = Ticker.shared()
        self.made: dict[DeviceName, LoadDevice] = {}

    def make(self, name: DeviceName, settings: Client, tell: Callable[[object], None]) -> LoadDevice:
        door = Door(
            ws_url=self._ws_url,
            user_id=name.user_id,
            token=self._tokens[f"{name.user_id}/{name.platform_id}"],
            platform_id=name.platform_id,
            encoding=settings.envelope,
            compression=settings.gzip,
        )
        device = self.made[name] = LoadDevice(door, name.platform_id, settings, tell, self._ticker)
        return device


def _nobody(message: object) -> None:
    """Who is told after the end."""


def _text(client_msg_id: str, payload_bytes: int) -> bytes:
    """A text message's content of about so many bytes, different for each message."""
    filler = f"{client_msg_id} " * (payload_bytes // (len(client_msg_id) + 1) + 1)
    return json.dumps({"content": filler[:payload_bytes]}).encode()


def _reason(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    return str(problem) or type(problem).__name__
