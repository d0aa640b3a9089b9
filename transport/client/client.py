"""A client of an OpenIM server for embedders and tests: it sends, receives in order, and survives reconnects.

`device` has the connection and the gap rules. What a client adds is here: reconnecting, a queue, and sending again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from greenroom.actors.wire import msg_pb2
from greenroom.transport.client.backoff import Backoff
from greenroom.transport.client.client_message import TEXT, Received, Sent, new_message
from greenroom.transport.client.device import SEND_MESSAGE, Arrival, Device
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
from greenroom.transport.client.pull import NOTIFICATION_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from greenroom.transport.client.api import Api
    from greenroom.transport.client.ticker import Ticker

__all__ = ["Client"]

log = logging.getLogger("greenroom.client")
_RANDOM = random.SystemRandom()

REFUSALS_RETRIED = 5
"""How often a send is repeated that the server refuses because of a fault of its own."""


class Client:
    """One device of one user.

    Order: the messages of a conversation come in seq order. Duplication: each stored message comes once, and each
    `send` is stored once (it is repeated with the same clientMsgID after a lost connection). Loss: no stored message
    is lost, over reconnects too, because what was missed is pulled; messages that are not stored (typing) come at
    most once. When its consumer is slow, the client stops reading, and pulls later. All methods belong to one event
    loop.

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
        since: where to begin in the conversations that exist at the first connect.
        receive: False takes in no messages at all, for a client that only sends.
        own_messages: hand out the messages of this user, too, from this device and from others.
        on_message: called for each message, which is then not queued for `messages()`; must not block.
        on_notification: called for each message of the `n_` conversations, which are ignored without it.
        on_state: called with "online", "offline" or "closed" at each change.
        api: shared by several clients; else the client makes its own from `api_url` when it first needs it.
        """
        self.user_id = user_id
        self.platform_id = platform_id
        self.reconnects = 0
        """How often the connection was made again."""
        self.shed = 0
        """How many messages without a seq (typing and the like) were dropped because the queue was full."""
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
        )
        self._device = Device(
            login,
            on_messages=self._take if receive else None,
            on_lost=self._lost,
            has_room=lambda: not self._inbox.full,
            from_beginning=since == "beginning",
            notifications=on_notification is not None,
            request_timeout_s=request_timeout_s,
            requests_in_flight=requests_in_flight,
            backoff_base_s=backoff_base_s,
            rng=rng,
            ticker=ticker,
        )
        self._queues = receive and on_message is None
        self._inbox = Inbox(limit=inbox_limit, on_room=self._device.room_again)
        self._room_for_unstored = inbox_limit * 2
        self._up = asyncio.Event()
        self._reconnecting: asyncio.Task[None] | None = None
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
        """"new", "online", "offline" (it tries again) or "closed"."""
        if self._ended is not None:
            return "closed"
        if self._up.is_set():
            return "online"
        return "offline" if self._started else "new"

    @property
    def seqs(self) -> Mapping[str, int]:
        """Conversation -> the seq up to which its messages have been handed out or queued."""
        return self._device.timelines.synced

    @property
    def holes(self) -> int:
        """How many seqs the server had no message for: deleted, outside of the membership, or lost."""
        return self._device.timelines.holes

    async def start(self) -> None:
        """Connect, and learn the newest seqs of the conversations. What is to be pulled comes in afterwards.

        Raises TokenRejected, HandshakeRefused or ConnectionLost; the first connect is not tried again.
        """
        if self._started:
            raise RuntimeError("a client starts once")
        self._started = True
        try:
            await self._device.connect()
        except ClientError as problem:
            self._finish(problem)
            raise
        self._went_up()

    async def close(self) -> None:
        """Close it. Sends that wait fail with ClientClosed; `messages()` ends after what is queued."""
        self._finish(ClientClosed("the client was closed"))
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        await self._device.wait_ended()
        if self._owns_api and self._api is not None:
            await self._api.close()

    async def wait_closed(self) -> ClientError:
        """Wait until the client is closed; returns why it is."""
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

        When the connection fails meanwhile, the same message is sent again on the next one, until the deadline.
        Raises Refused (the server's word), SendTimedOut, KickedOffline, TokenRejected or ClientClosed.
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
        """The messages that come in, for ever. It ends with `close()`, or raises KickedOffline or TokenRejected.

        Several iterators share the queue: each message goes to one of them.
        """
        if not self._queues:
            raise RuntimeError("this client does not queue messages")
        while (message := await self._inbox.take()) is not None:
            yield message

    async def newest_seqs(self) -> dict[str, int]:
        """Conversation -> its newest seq, as the server knows it."""
        return await self._device.newest_seqs()

    async def read_seqs(self, conversation_ids: Iterable[str] = ()) -> dict[str, tuple[int, int]]:
        """Conversation -> (read up to, newest seq); all conversations if none is named."""
        return await self._device.read_seqs(conversation_ids)

    async def pull_history(self, conversation_id: str, *, begin: int, end: int, limit: int = 100) -> list[Received]:
        """The newest `limit` messages of the seqs begin..end, ascending; deleted ones come with status 4."""
        found = await self._device.pull(conversation_id, begin=begin, end=end, limit=limit)
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
            self._reconnecting = asyncio.create_task(self._reconnect())

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
                        return await self._device.ask(SEND_MESSAGE, data)
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

    # What comes in

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
