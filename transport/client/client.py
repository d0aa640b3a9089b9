"""A client of an OpenIM server, for embedders, tests and load: send, receive in order, survive reconnects.

The protocol's rules are in `timeline`, the socket in `link`, what comes in in `intake`; here is the life of one user's
device.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import msgspec
from google.protobuf.message import DecodeError

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.transport.client.errors import (
    ClientClosed,
    ClientError,
    ConnectionLost,
    Garbled,
    KickedOffline,
    Refused,
    SendTimedOut,
    TokenRejected,
)
from greenroom.transport.client.intake import Intake, backoff_s
from greenroom.transport.client.link import Door, Link, parse_answer
from greenroom.transport.client.message import TEXT, Received, Sent
from greenroom.transport.client.pull import Span, pull_all
from greenroom.transport.client.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from greenroom.transport.client.api import Api
    from greenroom.transport.envelope.codec import Response

__all__ = ["Client"]

_LOG = logging.getLogger("greenroom.client")
_LOG.addHandler(logging.NullHandler())
_RANDOM = random.SystemRandom()

NEWEST_SEQ, PULL_BY_RANGE, SEND_MESSAGE, READ_SEQS = 1001, 1002, 1003, 1006
PUSH_MESSAGE, KICK_ONLINE = 2001, 2002
STATUS_SENDING = 1
FROM_USER = 100
SINGLE_CHAT, GROUP_CHAT = 1, 3

HANDSHAKE_TIMEOUT_S = 10.0
FRAME_LIMIT_BYTES = 16 * 1024 * 1024
REFUSALS_RETRIED = 5
"""How often a send is repeated that the server refuses with a fault of its own."""


class Client:
    """One device of one user.

    Order: the messages of a conversation come in seq order. Duplication: each stored message comes once, each
    `send` is stored once (the same clientMsgID is sent again after a lost connection). Loss: none of stored
    messages, over reconnects too: what was missed is fetched; those that are not stored (typing) come at most
    once. A slow consumer makes the client stop reading, then fetch. All methods belong to one event loop.

        async with Client(ws_url=..., api_url=..., user_id="alice", token=token) as alice:
            await alice.send(recv_id="bob", text="hello")
            async for message in alice.messages():
                print(message.send_id, message.text)
    """

    def __init__(
        self,
        *,
        ws_url: str,
        user_id: str,
        token: str,
        api_url: str = "",
        platform_id: int = 5,
        encoding: Literal["go", "js"] = "go",
        compression: bool = True,
        since: Literal["now", "beginning"] = "now",
        receive: bool = True,
        own_messages: bool = False,
        on_message: Callable[[Received], None] | None = None,
        on_notification: Callable[[Received], None] | None = None,
        on_state: Callable[[str], None] | None = None,
        inbox_limit: int = 1024,
        requests_in_flight: int = 16,
        send_timeout_s: float = 60.0,
        request_timeout_s: float = 10.0,
        backoff_base_s: float = 1.0,
        rng: random.Random = _RANDOM,
        ticker: Ticker | None = None,
        api: Api | None = None,
    ) -> None:
        """
        since: where conversations start that exist at the first connect.
        receive: False takes in no messages at all (for one that only sends).
        own_messages: hand out what this user sent, too, from this device or another.
        on_message: called for each message instead of queueing it for `messages()`; must not block.
        on_notification: called for each record of the `n_` conversations, which are passed over without it.
        on_state: "online", "offline" or "closed", at each change.
        api: shared by many clients; else the client makes its own from `api_url` when it first needs one.
        """
        self.user_id = user_id
        self.platform_id = platform_id
        self._token = token
        self._door = Door(
            ws_url=ws_url,
            user_id=user_id,
            token=token,
            platform_id=platform_id,
            encoding=encoding,
            compression=compression,
        )
        self._api_url = api_url
        self._api = api
        self._owns_api = api is None
        self._receive = receive
        self._queues = receive and on_message is None
        self._on_state = on_state
        self._send_timeout_s = send_timeout_s
        self._request_timeout_s = request_timeout_s
        self._backoff_base_s = backoff_base_s
        self._rng = rng
        self._ticker = ticker
        self._intake = Intake(
            user_id,
            partial(self._request, PULL_BY_RANGE),
            from_beginning=since == "beginning",
            own_messages=own_messages,
            on_message=on_message,
            on_notification=on_notification,
            on_room=self._read_again,
            limit=inbox_limit,
            backoff_base_s=backoff_base_s,
        )
        self._in_flight = asyncio.Semaphore(requests_in_flight)
        self._up = asyncio.Event()
        self._link: Link | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._started = False
        self._ended: ClientError | None = None
        self._closed = asyncio.Event()
        self._down = asyncio.Event()
        self.reconnects = 0
        """How often the connection was made again."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Client(user_id={self.user_id!r}, platform_id={self.platform_id}, state={self.state!r})"

    @property
    def state(self) -> str:
        """new, online, offline (trying again) or closed."""
        if self._ended is not None:
            return "closed"
        if self._up.is_set():
            return "online"
        return "offline" if self._started else "new"

    @property
    def seqs(self) -> Mapping[str, int]:
        """Conversation -> the seq up to which its messages have been handed out or queued."""
        return self._intake.timelines.synced

    @property
    def holes(self) -> int:
        """Seqs that the server had nothing for when asked: deleted, out of the membership, or lost."""
        return self._intake.timelines.holes

    @property
    def shed(self) -> int:
        """Messages without a seq (typing and the like) that found no room."""
        return self._intake.shed

    async def start(self) -> None:
        """Connect and learn where the conversations stand. What is to be fetched comes in afterwards.

        Raises TokenRejected, HandshakeRefused or ConnectionLost; the first connect is not tried again.
        """
        if self._started:
            raise RuntimeError("a client starts once")
        self._started = True
        try:
            await self._connect()
        except ClientError as problem:
            self._finish(problem)
            raise

    async def close(self) -> None:
        """End it; sends that wait fail with ClientClosed, `messages()` ends after what is queued."""
        self._finish(ClientClosed("the client was closed"))
        tasks = [task for task in (self._reconnecting, self._intake.pulling) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._link is not None:
            await self._down.wait()
        if self._owns_api and self._api is not None:
            await self._api.close()

    async def wait_closed(self) -> ClientError:
        """Wait until the client has ended for good; returns why."""
        await self._closed.wait()
        assert self._ended is not None
        return self._ended

    async def send(
        self,
        *,
        recv_id: str = "",
        group_id: str = "",
        text: str | None = None,
        content: bytes | None = None,
        content_type: int = TEXT,
        client_msg_id: str = "",
        options: Mapping[str, bool] | None = None,
        at_user_ids: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Sent:
        """Send one message to a user or a group; returns when it is stored.

        A connection that fails on the way is waited for and the same message sent again until the deadline.
        Raises Refused (the server's word), SendTimedOut, KickedOffline, TokenRejected or ClientClosed.
        """
        if bool(recv_id) == bool(group_id):
            raise ValueError("give recv_id or group_id")
        if (text is None) == (content is None):
            raise ValueError("give text or content")
        if content is None:
            content = msgspec.json.encode({"content": text})
        message = sdkws_pb2.MsgData(
            sendID=self.user_id,
            recvID=recv_id,
            groupID=group_id,
            clientMsgID=client_msg_id or secrets.token_hex(16),
            senderPlatformID=self.platform_id,
            sessionType=SINGLE_CHAT if recv_id else GROUP_CHAT,
            msgFrom=FROM_USER,
            contentType=content_type,
            content=content,
            createTime=time.time_ns() // 1_000_000,
            status=STATUS_SENDING,
            options=options,
            atUserIDList=at_user_ids,
        )
        deadline = asyncio.get_running_loop().time() + (self._send_timeout_s if timeout_s is None else timeout_s)
        data = await self._send_until(deadline, message.SerializeToString(), message.clientMsgID)
        answer = parse_answer(msg_pb2.SendMsgResp, data)
        return Sent(answer.serverMsgID, answer.clientMsgID, answer.sendTime)

    async def messages(self) -> AsyncIterator[Received]:
        """What comes in, for ever; ends with `close()`, raises KickedOffline or TokenRejected.

        Several iterators share the queue: each message goes to one of them.
        """
        if not self._queues:
            raise RuntimeError("this client does not queue messages")
        while (message := await self._intake.take()) is not None:
            yield message

    async def newest_seqs(self) -> dict[str, int]:
        """Conversation -> its newest seq, as the server knows it."""
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
        data = await self._request(NEWEST_SEQ, request.SerializeToString())
        return dict(parse_answer(sdkws_pb2.GetMaxSeqResp, data).maxSeqs)

    async def read_seqs(self, conversation_ids: Iterable[str] = ()) -> dict[str, tuple[int, int]]:
        """Conversation -> (read up to, newest seq); all conversations if none is named."""
        request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=self.user_id, conversationIDs=conversation_ids)
        data = await self._request(READ_SEQS, request.SerializeToString())
        answer = parse_answer(msg_pb2.GetConversationsHasReadAndMaxSeqResp, data)
        return {name: (seqs.hasReadSeq, seqs.maxSeq) for name, seqs in answer.seqs.items()}

    async def pull_history(self, conversation_id: str, *, begin: int, end: int, limit: int = 100) -> list[Received]:
        """The newest `limit` messages of the seqs begin..end, ascending; deleted ones come with status 4."""
        ask = partial(self._request, PULL_BY_RANGE)
        try:
            found = await pull_all(ask, self.user_id, Span(conversation_id, begin, end), limit)
        except DecodeError as problem:
            raise Garbled(str(problem)) from problem
        return [Received(conversation_id, raw) for raw in found]

    async def mark_read(self, conversation_id: str, seq: int, *, seqs: Sequence[int] = ()) -> None:
        """Tell the server that the conversation is read up to `seq` (over HTTP)."""
        payload = {
            "conversationID": conversation_id,
            "userID": self.user_id,
            "hasReadSeq": seq,
            "seqs": list(seqs),
        }
        await self.api.call("/msg/mark_conversation_as_read", payload, self._token)

    @property
    def api(self) -> Api:
        """The HTTP API, with this client's `api_url`."""
        if self._api is None:
            if not self._api_url:
                raise RuntimeError("this client was made without api_url")
            from greenroom.transport.client.api import Api  # httpx: only for those who need it

            self._api = Api(self._api_url, connections=4)
        return self._api

    # The connection's life

    async def _connect(self) -> None:
        link = Link(
            self._door,
            on_push=self._take_push,
            on_lost=self._lost,
            ticker=self._ticker or Ticker.shared(),
            request_timeout_s=self._request_timeout_s,
            max_frame_bytes=FRAME_LIMIT_BYTES,
        )
        await link.open(timeout_s=HANDSHAKE_TIMEOUT_S)
        self._link = link
        self._down.clear()
        try:
            request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
            data = await link.request(NEWEST_SEQ, request.SerializeToString())
            newest = parse_answer(sdkws_pb2.GetMaxSeqResp, data).maxSeqs
            if self._ended is not None:
                raise self._ended
        except BaseException as problem:
            link.close(ConnectionLost("the connection was given up"))
            if self._ended is not None:
                raise self._ended from None
            if isinstance(problem, TimeoutError):
                raise ConnectionLost("no answer to the first request") from None
            raise
        if self._receive:
            self._intake.learn(newest)
        self._up.set()
        self._tell("online")

    def _lost(self, link: Link) -> None:
        if link is not self._link:
            return
        self._link = None
        link.abort()
        self._down.set()
        if self._ended is not None:
            return
        was_up = self._up.is_set()
        self._up.clear()
        if was_up:
            self._tell("offline")
            self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        for attempt in range(2**31):
            await asyncio.sleep(backoff_s(self._backoff_base_s, attempt) * self._rng.uniform(0.5, 1.0))
            try:
                await self._connect()
            except TokenRejected as problem:
                self._finish(problem)
                return
            except ClientError:
                if self._ended is not None:
                    return
                continue
            self.reconnects += 1
            return

    def _finish(self, error: ClientError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._intake.end(error)
        if self._link is not None:
            self._link.close(error)
        self._up.set()
        self._closed.set()
        self._tell("closed")

    def _tell(self, state: str) -> None:
        if self._on_state is not None:
            try:
                self._on_state(state)
            except Exception:
                _LOG.exception("the callback for a change of state failed")

    # Requests

    async def _request(self, identifier: int, data: bytes) -> bytes:
        async with self._in_flight:
            if self._ended is not None:
                raise self._ended
            link = self._link
            if link is None:
                raise ConnectionLost("not connected")
            link.resume()
            try:
                return await link.request(identifier, data)
            except ConnectionLost:
                self._lost(link)
                raise

    async def _send_until(self, deadline: float, data: bytes, client_msg_id: str) -> bytes:
        refusals = 0
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    await self._up.wait()
                    try:
                        return await self._request(SEND_MESSAGE, data)
                    except (ConnectionLost, TimeoutError):
                        if self._ended is not None:
                            raise self._ended from None
                    except Refused as problem:
                        refusals += 1
                        if not problem.retryable or refusals > REFUSALS_RETRIED:
                            raise
                        await asyncio.sleep(self._backoff_base_s * self._rng.uniform(0.25, 0.5) * refusals)
        except TimeoutError:
            raise SendTimedOut(client_msg_id) from None

    # What comes in

    def _take_push(self, envelope: Response) -> None:
        if envelope.req_identifier == KICK_ONLINE:
            self._finish(KickedOffline("another login took this device's place"))
        elif envelope.req_identifier == PUSH_MESSAGE and self._receive and self._ended is None:
            self._intake.take_push(sdkws_pb2.PushMessages.FromString(envelope.data or b""))
            if self._intake.is_full and self._link is not None and not self._link.waiting:
                self._link.pause()

    def _read_again(self) -> None:
        if self._link is not None:
            self._link.resume()
