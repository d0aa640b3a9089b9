"""A client of an OpenIM server for embedders and tests: it sends, receives in order, and survives reconnects.

`device` has the connection and the gap rules. A client adds reconnecting, a queue, and repeated sends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from greenroom.actors.wire import msg_pb2
from greenroom.actors.wire.vocabulary import MAX_FRAME_BYTES, NOTIFICATION_PREFIX, ContentType, Platform, RequestId
from greenroom.transport.client.backoff import Backoff
from greenroom.transport.client.client_message import Received, Sent, new_message
from greenroom.transport.client.device import Arrival, Device
from greenroom.transport.client.errors import (
    ClientClosed,
    ClientError,
    ConnectionLost,
    KickedOffline,
    Refused,
    SendTimedOut,
    TokenRejected,
)
from greenroom.transport.client.inbox import Inbox
from greenroom.transport.client.link import Login, parse_answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from greenroom.transport.client.api import Api
    from greenroom.transport.client.ticker import Ticker

__all__ = ["Client"]

log = logging.getLogger("greenroom.client")
_RANDOM = random.SystemRandom()

REFUSALS_RETRIED = 5
"""How often a send is repeated while the server refuses it because of a fault of the server."""


class Client:
    """One device of one user.

    Order: the messages of a conversation are delivered in seq order. Duplication: each stored message is delivered
    once, and each `send` is stored once (after a lost connection it is repeated with the same clientMsgID). Loss: no
    stored message is lost, even across reconnects, because missed messages are pulled; messages that are not stored
    (typing) are delivered at most once. When its consumer is slow, the client stops reading from its socket, and pulls
    the missed messages later. All methods belong to one event loop.

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
        platform_id: int = Platform.WEB,
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
        send_limit_bytes: int = MAX_FRAME_BYTES,
        send_timeout_s: float = 60.0,
        request_timeout_s: float = 10.0,
        backoff_base_s: float = 1.0,
        rng: random.Random = _RANDOM,
        ticker: Ticker | None = None,
        api: Api | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        since: where to begin in the conversations that already exist at the first connect.
        receive: False ignores all incoming messages, for a client that only sends.
        own_messages: also deliver the messages that this user sent, from this device or another.
        on_message: called for each message, which is then not queued for `messages()`. It must not block.
        on_notification: called for each message of a notification conversation (`n_...`). Without it, these messages
            are ignored.
        on_state: called at each change of the state, with "online", "offline" or "closed".
        send_limit_bytes: the largest frame, as sent, that the server accepts: the default of OpenIM and of Greenroom.
        api: an API shared by several clients. Without it, the client makes its own from `api_url` at the first use.
        tls: for `wss` and `https` URLs, instead of the usual certificates.
        """
        self.user_id = user_id
        self.platform_id = platform_id
        self.reconnects = 0
        """Number of times that the client has reconnected."""
        self.shed = 0
        """Number of messages without a seq (typing and the like) that were dropped because the queue was full."""
        self._token = token
        self._api_url = api_url
        self._api = api
        self._owns_api = api is None
        self._own_messages = own_messages
        self._on_message = on_message
        self._on_notification = on_notification
        self._on_state = on_state
        self._send_timeout_s = send_timeout_s
        self._backoff_base_s = backoff_base_s
        self._rng = rng
        login = Login(
            ws_url=ws_url,
            user_id=user_id,
            token=token,
            platform_id=platform_id,
            encoding=encoding,
            compression=compression,
            tls=tls,
        )
        self._tls = tls
        self._device = Device(
            login,
            on_messages=self._take if receive else None,
            on_lost=self._lost,
            has_room=lambda: not self._inbox.full,
            from_beginning=since == "beginning",
            notifications=on_notification is not None,
            request_timeout_s=request_timeout_s,
            requests_in_flight=requests_in_flight,
            send_limit_bytes=send_limit_bytes,
            backoff_base_s=backoff_base_s,
            rng=rng,
            ticker=ticker,
        )
        self._queues = receive and on_message is None
        self._inbox = Inbox(limit=inbox_limit, on_room=self._device.room_again)
        self._room_for_unstored = inbox_limit * 2
        self._up = asyncio.Event()
        self._reconnecting: asyncio.Future[tuple[None]] | None = None
        self._started = False
        self._ended: ClientError | None = None
        self._closed = asyncio.Event()

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
        """"new", "online", "offline" (it is reconnecting) or "closed"."""
        if self._ended is not None:
            return "closed"
        if self._up.is_set():
            return "online"
        return "offline" if self._started else "new"

    @property
    def seqs(self) -> Mapping[str, int]:
        """Conversation -> the seq up to which its messages have been delivered or queued."""
        return self._device.timelines.synced

    @property
    def holes(self) -> int:
        """Number of seqs for which the server had no message: it was deleted, outside the membership, or lost."""
        return self._device.timelines.holes

    async def start(self) -> None:
        """Connect, and fetch the newest seqs of the conversations. Missed messages are pulled afterwards.

        Raises TokenRejected, HandshakeRefused or ConnectionLost. The first connect is not retried.
        """
        if self._started:
            raise RuntimeError("a client can be started only once")
        self._started = True
        try:
            await self._device.connect()
        except ClientError as problem:
            self._finish(problem)
            raise
        self._went_up()

    async def close(self) -> None:
        """Close the client. Pending sends fail with ClientClosed; `messages()` ends after the queued messages."""
        self._finish(ClientClosed("the client was closed"))
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        await self._device.wait_ended()
        if self._owns_api and self._api is not None:
            await self._api.close()

    async def wait_closed(self) -> ClientError:
        """Wait until the client is closed. Returns the reason."""
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
        content_type: int = ContentType.TEXT,
        client_msg_id: str = "",
        options: Mapping[str, bool] | None = None,
        at_user_ids: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Sent:
        """Send one message to a user or a group. Returns when the message is stored.

        If the connection fails meanwhile, the message is sent again on the next one, until the deadline.
        Raises TooLarge, Refused (by the server), SendTimedOut, KickedOffline, TokenRejected or ClientClosed.
        """
        if bool(recv_id) == bool(group_id):
            raise ValueError("give recv_id or group_id")
        if (text is None) == (content is None):
            raise ValueError("give text or content")
        if content is None:
            content = msgspec.json.encode({"content": text})
        message = new_message(
            send_id=self.user_id,
            platform_id=self.platform_id,
            recv_id=recv_id,
            group_id=group_id,
            content=content,
            content_type=content_type,
            client_msg_id=client_msg_id,
            options=options,
            at_user_ids=at_user_ids,
        )
        deadline = asyncio.get_running_loop().time() + (self._send_timeout_s if timeout_s is None else timeout_s)
        data = await self._send_until(deadline, message.SerializeToString(), message.clientMsgID)
        answer = parse_answer(msg_pb2.SendMsgResp, data)
        return Sent(answer.serverMsgID, answer.clientMsgID, answer.sendTime)

    async def messages(self) -> AsyncIterator[Received]:
        """Incoming messages. The iterator ends with `close()`, or raises KickedOffline or TokenRejected.

        Several iterators share one queue: each message goes to one of them.
        """
        if not self._queues:
            raise RuntimeError("this client does not queue messages")
        while (message := await self._inbox.take()) is not None:
            yield message

    async def newest_seqs(self) -> dict[str, int]:
        """Conversation -> its newest seq, by the server."""
        return await self._device.newest_seqs()

    async def read_seqs(self, conversation_ids: Iterable[str] = ()) -> dict[str, tuple[int, int]]:
        """Conversation -> (the seq up to which it is read, its newest seq). Without ids: for all conversations."""
        return await self._device.read_seqs(conversation_ids)

    async def pull_history(self, conversation_id: str, *, begin: int, end: int, limit: int = 100) -> list[Received]:
        """The newest `limit` messages with seqs begin..end, ascending. Deleted ones have MessageStatus.DELETED."""
        found = await self._device.pull(conversation_id, begin=begin, end=end, limit=limit)
        return [Received(conversation_id, raw) for raw in found]

    async def mark_read(self, conversation_id: str, seq: int, *, seqs: Sequence[int] = ()) -> None:
        """Mark the conversation as read up to `seq`, over HTTP."""
        payload = {
            "conversationID": conversation_id,
            "userID": self.user_id,
            "hasReadSeq": seq,
            "seqs": list(seqs),
        }
        await self.api.call("/msg/mark_conversation_as_read", payload, self._token)

    @property
    def api(self) -> Api:
        """The HTTP API at this client's `api_url`."""
        if self._api is None:
            if not self._api_url:
                raise RuntimeError("this client was made without api_url")
            from greenroom.transport.client.api import Api  # Imported late: it loads httpx.

            self._api = Api(self._api_url, connections=4, tls=self._tls)
        return self._api

    # The connection

    def _went_up(self) -> None:
        self._up.set()
        self._tell("online")

    def _lost(self, problem: ClientError) -> None:
        if self._ended is not None:
            return
        self._up.clear()
        if isinstance(problem, KickedOffline):
            self._finish(problem)
        else:
            self._tell("offline")
            # As a child of `gather`, the task may be pending when a loop ends without `close`: asyncio logs no error.
            self._reconnecting = asyncio.gather(self._reconnect())

    async def _reconnect(self) -> None:
        backoff = Backoff(self._backoff_base_s, self._rng)
        while self._ended is None:
            await asyncio.sleep(backoff.next_s())
            try:
                await self._device.connect()
            except TokenRejected as problem:
                self._finish(problem)
            except ClientError:
                continue
            else:
                self.reconnects += 1
                self._went_up()
                return

    def _finish(self, error: ClientError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._inbox.end(None if isinstance(error, ClientClosed) else error)
        self._device.end(error)
        self._up.set()
        self._closed.set()
        self._tell("closed")

    def _tell(self, state: str) -> None:
        if self._on_state is not None:
            try:
                self._on_state(state)
            except Exception:
                log.exception("the callback for a change of state failed")

    async def _send_until(self, deadline: float, data: bytes, client_msg_id: str) -> bytes:
        refusals, backoff = 0, Backoff(self._backoff_base_s / 4, self._rng)
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    await self._up.wait()
                    try:
                        return await self._device.ask(RequestId.SEND_MESSAGE, data)
                    except (ConnectionLost, TimeoutError):
                        if self._ended is not None:
                            raise self._ended from None
                    except Refused as problem:
                        refusals += 1
                        if not problem.retryable or refusals > REFUSALS_RETRIED:
                            raise
                        await asyncio.sleep(backoff.next_s())
        except TimeoutError:
            raise SendTimedOut(client_msg_id) from None

    # Incoming messages

    def _take(self, messages: list[Arrival], pulled: bool) -> None:
        for conversation_id, raw in messages:
            message = Received(conversation_id, raw)
            if conversation_id.startswith(NOTIFICATION_PREFIX):
                self._call_back(self._on_notification, message)
            elif raw.sendID == self.user_id and not self._own_messages:
                continue
            elif not self._queues:
                self._call_back(self._on_message, message)
            elif raw.seq == 0 and len(self._inbox) >= self._room_for_unstored:
                self.shed += 1
            else:
                self._inbox.put(message)

    def _call_back(self, callback: Callable[[Received], None] | None, message: Received) -> None:
        if callback is not None:
            try:
                callback(message)
            except Exception:
                log.exception("the callback for a received message failed")
