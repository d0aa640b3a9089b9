"""One device of one user at the server: it logs in, asks, takes what is pushed, and pulls what it has missed.

The gap rules are in `timeline`, the socket is in `link`. What its owner wants of it (reconnecting, a queue, sending
again) is the owner's: `Client` is one owner, a virtual user of the load harness another.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.transport.client.backoff import Backoff
from greenroom.transport.client.errors import ClientError, ConnectionLost, Garbled, KickedOffline, Refused
from greenroom.transport.client.link import Link, parse_answer
from greenroom.transport.client.pull import NOTIFICATION_PREFIX, SeqSpan, pull_all, pull_request
from greenroom.transport.client.ticker import Ticker
from greenroom.transport.client.timeline import Timelines

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

    from greenroom.transport.client.link import Login
    from greenroom.transport.envelope.codec import Response

__all__ = ["SEND_MESSAGE", "Arrival", "Device"]

log = logging.getLogger("greenroom.client")
log.addHandler(logging.NullHandler())

NEWEST_SEQ, PULL_BY_RANGE, SEND_MESSAGE, READ_SEQS = 1001, 1002, 1003, 1006
PUSH_MESSAGE, KICK_ONLINE = 2001, 2002
STATUS_DELETED = 4

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
"""A server that no longer reads cannot hold up the end of a client for longer."""
FRAME_LIMIT_BYTES = 16 * 1024 * 1024
PULL_PAGE = 100
"""Messages asked of one conversation at a time."""
PULL_CONVERSATIONS = 8
"""Conversations in one pull; with the page, it bounds an answer to 800 messages."""

Arrival = tuple[str, sdkws_pb2.MsgData]
"""A conversation's id and one message of it."""


def _always() -> bool:
    return True


class Device:
    """It has one connection at a time, made by `connect`; it never connects or sends again by itself.

    Order: the messages of a conversation are handed over in seq order. Duplication: each stored message is handed
    over once. Loss: no stored message is lost, over reconnects too: what was missed is pulled after the next
    `connect`. Messages that are not stored (typing) come at most once. All methods belong to one event loop.
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
        backoff_base_s: float,
        rng: random.Random,
        ticker: Ticker | None = None,
    ) -> None:
        """
        on_messages: takes what came together, and whether it was pulled; must not block or raise. None: take in
            nothing at all.
        on_lost: called when a connection has ended that `connect` had made, with KickedOffline or ConnectionLost.
        has_room: while it says no, stored messages are not handed over, and reading stops. `room_again` ends that.
        from_beginning: take in the past of the conversations that exist at the first `connect`.
        notifications: take in the `n_` conversations, too.
        backoff_base_s, rng: for pulls that fail.
        """
        self.user_id = login.user_id
        self.timelines = Timelines(from_beginning=from_beginning)
        self._login = login
        self._on_messages = on_messages
        self._on_lost = on_lost
        self._has_room = has_room
        self._notifications = notifications
        self._request_timeout_s = request_timeout_s
        self._in_flight = asyncio.Semaphore(requests_in_flight)
        self._backoff_base_s = backoff_base_s
        self._rng = rng
        self._ticker = ticker
        self._link: Link | None = None
        self._online = False
        self._stopped_reading = False
        """For want of room; not because of `pause`."""
        self._pulling: asyncio.Task[None] | None = None
        self._ended: ClientError | None = None

    @property
    def online(self) -> bool:
        """Whether it is connected and logged in."""
        return self._online

    # The connection

    async def connect(self) -> None:
        """Dial, and learn where the conversations stand. What is to be pulled comes in afterwards.

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
        )
        self._stopped_reading = False
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id).SerializeToString()
        try:
            await link.open(timeout_s=HANDSHAKE_TIMEOUT_S)
            newest = parse_answer(sdkws_pb2.GetMaxSeqResp, await link.request(NEWEST_SEQ, request)).maxSeqs
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
        """Stop reading: the server feels it through TCP."""
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        if self._link is not None:
            self._link.resume()

    def room_again(self) -> None:
        """The owner has room: read on, and pull what was not taken in."""
        if self._stopped_reading:
            self._stopped_reading = False
            self.resume()
        self._pull_soon()

    def detach(self) -> Link | None:
        """Give the connection away as it is: it is the caller's from now on, and this device is offline."""
        link, self._link, self._online = self._link, None, False
        return link

    def end(self, error: ClientError) -> None:
        """Close the connection for good. What waits for an answer fails with the error, as does what is asked later."""
        if self._ended is None:
            self._ended = error
            self._online = False
            if self._link is not None:
                self._link.close(error)
            if self._pulling is not None:
                self._pulling.cancel()

    async def wait_ended(self) -> None:
        """Wait until nothing of it is left running, after `end`."""
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
        """Send a request and return the answer's data. Raises Refused, ConnectionLost, TimeoutError, or what it was
        ended with."""
        async with self._in_flight:
            link = self._link_now()
            if self._stopped_reading:
                link.resume()  # Or the answer could not come.
            try:
                return await link.request(identifier, data)
            except ConnectionLost as problem:
                self._lose(link, problem)
                raise

    def post(self, identifier: int, data: bytes) -> asyncio.Future[bytes]:
        """As `ask`, without a coroutine and without a bound: for those who send on a schedule. Raises at once what
        keeps it from sending."""
        return self._link_now().post(identifier, data)

    async def newest_seqs(self) -> dict[str, int]:
        """Conversation -> its newest seq, as the server knows it."""
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
        data = await self.ask(NEWEST_SEQ, request.SerializeToString())
        return dict(parse_answer(sdkws_pb2.GetMaxSeqResp, data).maxSeqs)

    async def read_seqs(self, conversation_ids: Iterable[str] = ()) -> dict[str, tuple[int, int]]:
        """Conversation -> (read up to, newest seq); all conversations if none is named."""
        request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=self.user_id, conversationIDs=conversation_ids)
        data = await self.ask(READ_SEQS, request.SerializeToString())
        answer = parse_answer(msg_pb2.GetConversationsHasReadAndMaxSeqResp, data)
        return {name: (seqs.hasReadSeq, seqs.maxSeq) for name, seqs in answer.seqs.items()}

    async def pull(self, conversation_id: str, *, begin: int, end: int, limit: int) -> list[sdkws_pb2.MsgData]:
        """The newest `limit` messages of the seqs begin..end, ascending; deleted ones come with status 4."""
        span = SeqSpan(conversation_id, begin, end)
        try:
            return await pull_all(partial(self.ask, PULL_BY_RANGE), self.user_id, span, limit)
        except DecodeError as problem:
            raise Garbled(str(problem)) from problem

    def _link_now(self) -> Link:
        if self._ended is not None:
            raise self._ended
        if self._link is None or not self._online:
            raise ConnectionLost("not connected")
        return self._link

    # What comes in

    def _take_push(self, envelope: Response) -> None:
        if self._link is None or self._ended is not None:
            return
        if envelope.req_identifier == KICK_ONLINE:
            self._lose(self._link, KickedOffline("another login took this device's place"))
        elif envelope.req_identifier == PUSH_MESSAGE and self._on_messages is not None:
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
        kept: list[Arrival] = []
        for arrival in arrivals:
            raw = arrival[1]
            if raw.status < STATUS_DELETED:
                kept.append(arrival)
            elif not raw.clientMsgID:  # A deleted message has its ids; this one stands for a message that never was.
                self.timelines.holes += 1
        if kept and self._on_messages is not None:
            self._on_messages(kept, pulled)

    def _pull_soon(self) -> None:
        if self.timelines.behind and self._online and (self._pulling is None or self._pulling.done()):
            self._pulling = asyncio.create_task(self._pull())

    async def _pull(self) -> None:
        backoff = Backoff(self._backoff_base_s, self._rng)
        while self.timelines.behind and self._has_room():
            spans = list(self.timelines.missing(page=PULL_PAGE, conversations=PULL_CONVERSATIONS))
            try:
                data = await self.ask(PULL_BY_RANGE, pull_request(self.user_id, spans, PULL_PAGE))
                answer = parse_answer(sdkws_pb2.PullMessageBySeqsResp, data)
            except (Refused, Garbled, TimeoutError) as problem:
                log.warning("a pull failed: %s", problem)
                await asyncio.sleep(backoff.next_s())
                continue
            except ClientError:  # The connection has ended: the next one pulls.
                return
            backoff.reset()
            self._hand_over(self.timelines.accept_pulled(spans, answer), pulled=True)
