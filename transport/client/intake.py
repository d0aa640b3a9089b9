"""What one device takes in: pushed or fetched, handed to callbacks or to the queue, each stored message once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from greenroom.actors.wire import sdkws_pb2
from greenroom.transport.client.errors import ClientClosed, ClientError, ConnectionLost, Garbled, Refused
from greenroom.transport.client.inbox import Inbox
from greenroom.transport.client.link import parse_answer
from greenroom.transport.client.message import Received
from greenroom.transport.client.pull import NOTIFICATION_PREFIX, pull_request
from greenroom.transport.client.timeline import Timelines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Intake", "backoff_s"]

log = logging.getLogger("greenroom.client")

STATUS_DELETED = 4
PULL_PAGE = 100
"""Messages asked of one conversation at a time."""
PULL_CONVERSATIONS = 8
"""Conversations in one pull; with the page, it bounds an answer to 800 messages."""
BACKOFF_STEPS = 5
"""1, 2, 4, 8, 16 times the base, then 16 for as long as it takes."""


class Intake:
    """Order: seq order within a conversation. `fetch` sends a pull and returns its answer; it raises ClientErrors,
    TimeoutError. While the queue `is_full`, what is pushed is passed over, and fetched once there is room again."""

    def __init__(
        self,
        user_id: str,
        fetch: Callable[[bytes], Awaitable[bytes]],
        *,
        from_beginning: bool,
        own_messages: bool,
        on_message: Callable[[Received], None] | None,
        on_notification: Callable[[Received], None] | None,
        on_room: Callable[[], None],
        limit: int,
        backoff_base_s: float,
    ) -> None:
        self.timelines = Timelines(from_beginning=from_beginning)
        self.pulling: asyncio.Task[None] | None = None
        self.shed = 0
        """Messages without a seq that found no room."""
        self._user_id = user_id
        self._fetch = fetch
        self._own_messages = own_messages
        self._on_message = on_message
        self._on_notification = on_notification
        self._on_room = on_room
        self._inbox = Inbox(limit=limit, on_room=self._room_again)
        self._room_for_unstored = limit * 2
        self._backoff_base_s = backoff_base_s
        self._ended = False

    @property
    def is_full(self) -> bool:
        return self._inbox.full

    def learn(self, newest: Mapping[str, int]) -> None:
        """Take in the newest seqs after a connect; what is missing is fetched."""
        wants_all = self._on_notification is not None
        self.timelines.learn(
            {name: seq for name, seq in newest.items() if wants_all or not name.startswith(NOTIFICATION_PREFIX)}
        )
        self._pull_soon()

    def take_push(self, push: sdkws_pb2.PushMessages) -> None:
        for conversation_id, pulled in push.msgs.items():
            for raw in pulled.Msgs:
                self._take_pushed(conversation_id, raw)
        if self._on_notification is not None:
            for conversation_id, pulled in push.notificationMsgs.items():
                for raw in pulled.Msgs:
                    self._take_pushed(conversation_id, raw)
        if not self.is_full:
            self._pull_soon()

    async def take(self) -> Received | None:
        """The oldest message of the queue; None at the end."""
        return await self._inbox.take()

    def end(self, error: ClientError) -> None:
        """Nothing more comes in; what is queued can still be taken."""
        self._ended = True
        self._inbox.end(None if isinstance(error, ClientClosed) else error)

    def _take_pushed(self, conversation_id: str, raw: sdkws_pb2.MsgData) -> None:
        if raw.seq == 0:
            if len(self._inbox) >= self._room_for_unstored:
                self.shed += 1
            else:
                self._hand_out(conversation_id, raw)
        elif self.is_full:
            self.timelines.postpone(conversation_id, raw.seq)
        elif self.timelines.offer(conversation_id, raw.seq):
            self._hand_out(conversation_id, raw)

    def _hand_out(self, conversation_id: str, raw: sdkws_pb2.MsgData) -> None:
        if raw.status >= STATUS_DELETED:
            if not raw.clientMsgID:
                self.timelines.holes += 1
            return
        message = Received(conversation_id, raw)
        if conversation_id.startswith(NOTIFICATION_PREFIX):
            if self._on_notification is not None:
                _call_back(self._on_notification, message)
        elif raw.sendID == self._user_id and not self._own_messages:
            return
        elif self._on_message is not None:
            _call_back(self._on_message, message)
        else:
            self._inbox.put(message)

    def _room_again(self) -> None:
        self._on_room()
        self._pull_soon()

    def _pull_soon(self) -> None:
        if self.timelines.behind and (self.pulling is None or self.pulling.done()) and not self._ended:
            self.pulling = asyncio.create_task(self._pull())

    async def _pull(self) -> None:
        failures = 0
        while self.timelines.behind and not self.is_full:
            spans = list(self.timelines.missing(page=PULL_PAGE, conversations=PULL_CONVERSATIONS))
            try:
                data = await self._fetch(pull_request(self._user_id, spans, PULL_PAGE))
                answer = parse_answer(sdkws_pb2.PullMessageBySeqsResp, data)
            except ConnectionLost:
                return
            except (Refused, Garbled, TimeoutError) as problem:
                log.warning("a pull failed: %s", problem)
                await asyncio.sleep(backoff_s(self._backoff_base_s, failures))
                failures += 1
                continue
            except ClientError:
                return
            failures = 0
            for conversation_id, raw in self.timelines.accept_pulled(spans, answer):
                self._hand_out(conversation_id, raw)


def _call_back(callback: Callable[[Received], None], message: Received) -> None:
    try:
        callback(message)
    except Exception:
        log.exception("the callback for a received message failed")


def backoff_s(base_s: float, failures: int) -> float:
    """How long to wait after so many failures before this one."""
    return base_s * (1 << min(failures, BACKOFF_STEPS - 1))
