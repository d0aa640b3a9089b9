"""One device of one user: it logs in, sends requests, accepts pushed messages, and pulls missed ones.

The gap rules are in `timeline`, the socket is in `link`. Reconnecting, queueing and repeating sends are left to the
owner of the device: a `Client`, or a virtual user of the load harness.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import MAX_FRAME_BYTES, NOTIFICATION_PREFIX, MessageStatus, RequestId
from greenroom.transport.client.backoff import Backoff
from greenroom.transport.client.errors import ClientError, ConnectionLost, Garbled, KickedOffline, Refused
from greenroom.transport.client.link import Link, parse_answer
from greenroom.transport.client.pull import SeqSpan, pull_all, pull_request
from greenroom.transport.client.ticker import Ticker
from greenroom.transport.client.timeline import Timelines

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

    from greenroom.transport.client.link import Login
    from greenroom.transport.envelope.codec import Response

__all__ = ["Arrival", "Device"]

log = logging.getLogger("greenroom.client")
log.addHandler(logging.NullHandler())

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
"""The longest that a server that has stopped reading can delay the end of a client."""
FRAME_LIMIT_BYTES = 16 * 1024 * 1024
PULL_PAGE = 100
"""Maximum number of messages that one pull requests from one conversation."""
PULL_CONVERSATIONS = 8
"""Maximum number of conversations in one pull. With PULL_PAGE, it bounds an answer to 800 messages."""

Arrival = tuple[str, sdkws_pb2.MsgData]
"""A conversation's id and one message of it."""


def _always() -> bool:
    return True


class Device:
    """It has at most one connection at a time, which `connect` makes. It never reconnects or repeats a send by itself.

    Order: the messages of a conversation are delivered in seq order. Duplication: each stored message is delivered
    once. Loss: no stored message is lost, even across reconnects, because missed messages are pulled after the next
    `connect`. Messages that are not stored (typing) are delivered at most once. All methods belong to one event loop.
    """

    def __init__(
        self,
        login: Login,
        *,
        on_messages: Callable[[list[Arrival], bool], None] | None,
        on_lost: Callable[[ClientError], None],
        has_room: Callable[[], bool] = _always,
        from_beginning: bool = False,
        notifications: bool = False,
        request_timeout_s: float = 10.0,
        requests_in_flight: int = 16,
        send_limit_bytes: int = MAX_FRAME_BYTES,
        backoff_base_s: float,
        rng: random.Random,
        ticker: Ticker | None = None,
    ) -> None:
        """
        on_messages: called with the messages that arrived together, and whether they were pulled. It must not block
            or raise. None: all incoming messages are ignored.
        on_lost: called with KickedOffline or ConnectionLost when an established connection has ended.
        has_room: while it returns False, stored messages are not delivered, and reading from the socket stops.
            `room_again` resumes both.
        from_beginning: also deliver the earlier messages of conversations that exist at the first `connect`.
        notifications: also deliver the messages of notification conversations (`n_...`).
        send_limit_bytes: the largest frame, as sent, that the server accepts. Larger requests fail with TooLarge.
        backoff_base_s, rng: for the waits after a failed pull.
        """
        self.user_id = login.user_id
        self.timelines = Timelines(from_beginning=from_beginning)
        self._login = login
        self._on_messages = on_messages
        self._on_lost = on_lost
        self._has_room = has_room
        self._notifications = notifications
        self._request_timeout_s = request_timeout_s
        self._send_limit_bytes = send_limit_bytes
        self._in_flight = asyncio.Semaphore(requests_in_flight)
        self._backoff_base_s = backoff_base_s
        self._rng = rng
        self._ticker = ticker
        self._link: Link | None = None
        self._online = False
        self._stopped_reading = False
        """True after reading stopped for lack of room; `pause` does not set it."""
        self._pulling: asyncio.Future[tuple[None]] | None = None
        self._is_pulling = False
        self._ended: ClientError | None = None

    @property
    def online(self) -> bool:
        """Whether it is connected and logged in."""
        return self._online

    # The connection

    async def connect(self) -> None:
        """Connect, and fetch the newest seqs of the conversations. Missed messages are pulled afterwards.

        Raises TokenRejected, HandshakeRefused, Refused, Garbled or ConnectionLost; then it may be called again.
        """
        if self._ended is not None:
            raise self._ended
        link = self._link = Link(
            self._login,
            on_push=self._take_push,
            on_lost=self._link_lost,
            ticker=self._ticker or Ticker.shared(),
            request_timeout_s=self._request_timeout_s,
            max_frame_bytes=FRAME_LIMIT_BYTES,
            send_limit_bytes=self._send_limit_bytes,
        )
        self._stopped_reading = False
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id).SerializeToString()
        try:
            await link.open(timeout_s=HANDSHAKE_TIMEOUT_S)
            newest = parse_answer(sdkws_pb2.GetMaxSeqResp, await link.request(RequestId.NEWEST_SEQS, request)).maxSeqs
            if self._link is not link:
                raise ConnectionLost("the connection ended with the first answer")
        except BaseException as problem:
            if self._link is link:
                self._link = None
            link.abort()
            if self._ended is not None and isinstance(problem, Exception):
                raise self._ended from None
            if isinstance(problem, TimeoutError):
                raise ConnectionLost("no answer to the first request") from None
            raise
        self._online = True
        if self._on_messages is not None:
            self.timelines.learn(
                {
                    name: seq
                    for name, seq in newest.items()
                    if self._notifications or not name.startswith(NOTIFICATION_PREFIX)
                }
            )
            self._pull_soon()

    def pause(self) -> None:
        """Stop reading from the socket, so that TCP slows the server down."""
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        if self._link is not None:
            self._link.resume()

    def room_again(self) -> None:
        """Called when the owner has room again: resume reading, and pull the messages that were not delivered."""
        if self._stopped_reading:
            self._stopped_reading = False
            self.resume()
        self._pull_soon()

    def detach(self) -> Link | None:
        """Hand the open connection over to the caller. Afterwards this device is offline."""
        link, self._link, self._online = self._link, None, False
        return link

    def end(self, error: ClientError) -> None:
        """Close the connection for good. Pending and later requests fail with the error."""
        if self._ended is None:
            self._ended = error
            self._online = False
            if self._link is not None:
                self._link.close(error)
            if self._pulling is not None:
                self._pulling.cancel()

    async def wait_ended(self) -> None:
        """After `end`: wait until the pull and the connection have ended."""
        if self._pulling is not None:
            await asyncio.wait((self._pulling,))
        if self._link is not None:
            await self._link.wait_closed(timeout_s=CLOSE_TIMEOUT_S)

    def _link_lost(self, link: Link) -> None:
        self._lose(link, ConnectionLost("the connection was lost"))

    def _lose(self, link: Link, problem: ClientError) -> None:
        if link is not self._link:
            return
        was_online, self._link, self._online = self._online, None, False
        link.fail_requests(problem)
        link.abort()
        if was_online:
            self._on_lost(problem)

    # Requests

    async def ask(self, identifier: int, data: bytes) -> bytes:
        """Send a request and return the answer's data. Raises Refused, TooLarge, ConnectionLost, TimeoutError, or the
        error that `end` was called with."""
        async with self._in_flight:
            link = self._link_now()
            if self._stopped_reading:
                link.resume()  # Otherwise the answer would not be read.
            try:
                return await link.request(identifier, data)
            except ConnectionLost as problem:
                self._lose(link, problem)
                raise

    def post(self, identifier: int, data: bytes) -> asyncio.Future[bytes]:
        """As `ask`, without a coroutine and without a bound on requests in flight, for callers that send on a schedule.
        It raises TooLarge, ConnectionLost, or the error that `end` was called with, at once."""
        return self._link_now().post(identifier, data)

    async def newest_seqs(self) -> dict[str, int]:
        """Conversation -> its newest seq, by the server."""
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
        data = await self.ask(RequestId.NEWEST_SEQS, request.SerializeToString())
        return dict(parse_answer(sdkws_pb2.GetMaxSeqResp, data).maxSeqs)

    async def read_seqs(self, conversation_ids: Iterable[str] = ()) -> dict[str, tuple[int, int]]:
        """Conversation -> (the seq up to which it is read, its newest seq). Without ids: for all conversations."""
        request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=self.user_id, conversationIDs=conversation_ids)
        data = await self.ask(RequestId.SEQ_STATES, request.SerializeToString())
        answer = parse_answer(msg_pb2.GetConversationsHasReadAndMaxSeqResp, data)
        return {name: (seqs.hasReadSeq, seqs.maxSeq) for name, seqs in answer.seqs.items()}

    async def pull(self, conversation_id: str, *, begin: int, end: int, limit: int) -> list[sdkws_pb2.MsgData]:
        """The newest `limit` messages with seqs begin..end, ascending. Deleted ones have MessageStatus.DELETED."""
        span = SeqSpan(conversation_id, begin, end)
        try:
            return await pull_all(partial(self.ask, RequestId.PULL_BY_RANGE), self.user_id, span, limit)
        except DecodeError as problem:
            raise Garbled(str(problem)) from problem

    def _link_now(self) -> Link:
        if self._ended is not None:
            raise self._ended
        if self._link is None or not self._online:
            raise ConnectionLost("not connected")
        return self._link

    # Incoming messages

    def _take_push(self, envelope: Response) -> None:
        if self._link is None or self._ended is not None:
            return
        if envelope.req_identifier == RequestId.KICK:
            # The push does not say which of the two it was.
            kicked = "the server ended this session: another login took its place, or an admin ended it"
            self._lose(self._link, KickedOffline(kicked))
        elif envelope.req_identifier == RequestId.PUSH and self._on_messages is not None:
            self._hand_over(self._accepted(sdkws_pb2.PushMessages.FromString(envelope.data or b"")), pulled=False)
            if self._has_room():
                self._pull_soon()
            elif not self._link.waiting:
                self._stopped_reading = True
                self._link.pause()

    def _accepted(self, push: sdkws_pb2.PushMessages) -> Iterator[Arrival]:
        accept = self.timelines.offer if self._has_room() else self.timelines.postpone
        for shelf in (push.msgs, push.notificationMsgs) if self._notifications else (push.msgs,):
            for conversation_id, part in shelf.items():
                for raw in part.Msgs:
                    if accept(conversation_id, raw.seq):
                        yield conversation_id, raw

    def _hand_over(self, arrivals: Iterable[Arrival], *, pulled: bool) -> None:
        existing: list[Arrival] = []
        for arrival in arrivals:
            raw = arrival[1]
            if raw.status < MessageStatus.DELETED:
                existing.append(arrival)
            elif not raw.clientMsgID:  # A deleted message keeps its ids; without them, there never was a message.
                self.timelines.holes += 1
        if existing and self._on_messages is not None:
            self._on_messages(existing, pulled)

    def _pull_soon(self) -> None:
        if self.timelines.behind and self._online and not self._is_pulling:
            self._is_pulling = True
            # As a child of `gather`, the task may be pending when a loop ends without `end`: asyncio logs no error.
            self._pulling = asyncio.gather(self._pull())

    async def _pull(self) -> None:
        try:
            await self._pull_missing()
        finally:
            self._is_pulling = False

    async def _pull_missing(self) -> None:
        backoff = Backoff(self._backoff_base_s, self._rng)
        while self.timelines.behind and self._has_room():
            spans = list(self.timelines.missing(page=PULL_PAGE, conversations=PULL_CONVERSATIONS))
            try:
                data = await self.ask(RequestId.PULL_BY_RANGE, pull_request(self.user_id, spans, PULL_PAGE))
                answer = parse_answer(sdkws_pb2.PullMessageBySeqsResp, data)
            except (Refused, Garbled, TimeoutError) as problem:
                log.warning("a pull failed: %s", problem)
                await asyncio.sleep(backoff.next_s())
                continue
            except ClientError:  # The connection has ended. The next `connect` pulls.
                return
            backoff.reset()
            self._hand_over(self.timelines.accept_pulled(spans, answer), pulled=True)
