"""A virtual user's device: it logs in, sends on command, records incoming messages, disconnects and reconnects.

Its actions and its incoming messages are recorded in the history, in order. Its measurements are added to the sample.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from google.protobuf.message import DecodeError

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.wire import msg_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.transport.client.backoff import Backoff
from greenroom.transport.client.client_message import new_message
from greenroom.transport.client.device import Arrival, Device
from greenroom.transport.client.errors import (
    ClientClosed,
    ClientError,
    ConnectionLost,
    KickedOffline,
    Refused,
    TokenRejected,
)
from greenroom.transport.client.printable import printable
from greenroom.transport.load.judge import events
from greenroom.transport.load.plan import Connect, Speak

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.replies import Piped
    from greenroom.transport.client.link import Link
    from greenroom.transport.load.plan import Drop, End, PauseReading, Talk
    from greenroom.transport.load.share import LoadShare

__all__ = ["KIND", "VirtualUser", "address_of"]

KIND = "virtual-user"
_REASON_LIMIT = 200
"""Characters of an error that are shown."""
UNSTORED = {
    "history": False,
    "persistent": False,
    "senderSync": False,
    "conversationUpdate": False,
    "senderConversationUpdate": False,
    "unreadCount": False,
    "offlinePush": False,
}
"""The options of a typing sign."""


class ResumeReading(msgspec.Struct, frozen=True):
    pass


class Arrived(msgspec.Struct, frozen=True):
    """Messages that arrived together, after the client's deduplication, in seq order."""

    at: int
    arrivals: list[Arrival]
    pulled: bool


class Lost(msgspec.Struct, frozen=True):
    """The connection has ended, but not through a step of the scenario."""

    problem: ClientError


class SendDone(msgspec.Struct, frozen=True):
    """A send was acked (`answer`), or was refused or not answered (`problem`)."""

    at: int
    client_msg_id: str
    answer: bytes
    problem: BaseException | None


def address_of(place: int) -> Address:
    return Address(KIND, str(place))


class VirtualUser(Entity):
    """One device. The id in its address is its place in the population.

    The history has one SendAcked or one SendFailed for every message that was sent, unless the run ended before.
    """

    def __init__(self, share: LoadShare, place: int) -> None:
        super().__init__()
        self._share = share
        self._place = place
        self._address = address_of(place)
        name = share.population.devices[place]
        self._user = name.user
        self._user_id = name.user_id
        self._platform_id = name.platform_id
        self._in_history = name.in_history
        self._count = 0
        self._waiting: dict[str, tuple[Speak, bytes]] = {}
        """Pending messages: client_msg_id -> the Speak, and the request."""
        self._to_resend: list[str] = []
        self._received_early: set[str] = set()
        """Pending messages that this device has received before their acks."""
        self._unseen: set[str] = set()
        """Acked messages that this device has not received yet. The drain waits for them."""
        self._backoff = Backoff(share.scenario.client.reconnect_base_s, share.rng)
        self._is_recorded = False
        """Whether the history has this device's DeviceStarted."""
        self._connect_planned_ns = 0
        """The planned time of the login in progress; 0 if there is none."""
        self._up = False
        self._away = False
        """Whether the device is offline on purpose. Then it sends nothing, and this is not an error."""
        self._paused = False
        self._slow = False
        """Whether the device has read late on purpose. Then its latencies are not measured."""
        self._resend = share.scenario.client.resend
        self._talk_until_ns = 0
        self._half_open: Link | None = None
        """A dropped connection that is still open. At most one is kept."""

    def on_start(self) -> None:
        client = self._share.scenario.client
        self._device = self._share.devices[self._place] = Device(
            self._share.login(self._place),
            on_messages=lambda arrivals, pulled: self._tell_self(Arrived(time.monotonic_ns(), arrivals, pulled)),
            on_lost=lambda problem: self._tell_self(Lost(problem)),
            request_timeout_s=client.request_timeout_s,
            backoff_base_s=client.reconnect_base_s,
            rng=self._share.rng,
            ticker=self._share.ticker,
        )

    def on_stop(self) -> Awaitable[None]:
        self._end_device()
        return self._device.wait_ended()

    def on_crash(self, error: BaseException) -> None:
        self._share.sample.count_error(f"the harness itself failed: {error!r}")
        self._end_device()

    def _end_device(self) -> None:
        self._device.end(ClientClosed("the run is over"))
        if self._half_open is not None:
            self._half_open.abort()

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self._tell_self(message.payload)

    def _tell_self(self, message: object) -> None:
        """Turn an event outside a turn into a message, because the state may change in turns only."""
        self.send(self._address, message)

    # The connection

    def receiveMsg_Connect(self, message: Connect, sender: Address) -> None:
        if self._up or self._connect_planned_ns:
            return
        if not self._is_recorded:
            self._is_recorded = True
            self._share.recorder.record(events.DeviceStarted(time.monotonic_ns(), self._in_history, self._user_id))
        self._connect_planned_ns = message.planned_ns
        self.pipe(self._log_in(), eager=False)

    async def _log_in(self) -> int:
        """Returns the time of the login."""
        await self._device.connect()
        return time.monotonic_ns()

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        """The login has succeeded or failed."""
        planned_ns, self._connect_planned_ns = self._connect_planned_ns, 0
        self._away = False
        sample = self._share.sample
        problem = message.error
        if problem is None:
            self._backoff.reset()
            self._up = True
            sample.login.record_ns(message.value - planned_ns)
            sample.logins += 1
            sample.online += 1
            to_resend, self._to_resend = self._to_resend, []
            for client_msg_id in to_resend:
                self._put(client_msg_id)
        elif isinstance(problem, ClientError):
            sample.login_failures += 1
            sample.count_error(f"login: {_reason(problem)}")
            if not isinstance(problem, TokenRejected):
                self._connect_later()
        else:
            raise problem

    def receiveMsg_Lost(self, message: Lost, sender: Address) -> None:
        if self._up:
            self._resend = self._share.scenario.client.resend
            self._went_down()
            self._share.sample.broken_connections += 1
            self._share.sample.count_error(_reason(message.problem))
            self._connect_later()

    def receiveMsg_Drop(self, message: Drop, sender: Address) -> None:
        if not self._up:
            return
        self._resend = message.resend
        self._away = True
        self._went_down()
        link = self._device.detach()
        if link is not None:
            if message.half_open:
                if self._half_open is not None:
                    self._half_open.abort()
                self._half_open = link
                link.pause()
                self._share.ticker.discard(link)
                link.fail_requests(ConnectionLost("the connection was dropped by the scenario"))
            else:
                link.abort()
        back_ns = message.planned_ns + int(message.back_after_s * 1e9)
        wait_s = max(0.0, (back_ns - time.monotonic_ns()) / 1e9)
        self.wakeupAfter(timedelta(seconds=wait_s), Connect(back_ns))

    def receiveMsg_PauseReading(self, message: PauseReading, sender: Address) -> None:
        if self._up and not self._paused:
            self._paused = self._slow = True
            self._device.pause()
            self.wakeupAfter(timedelta(seconds=message.for_s), ResumeReading())

    def receiveMsg_ResumeReading(self, message: ResumeReading, sender: Address) -> None:
        if self._paused:
            self._paused = False
            self._device.resume()

    def receiveMsg_End(self, message: End, sender: Address) -> None:
        self._talk_until_ns = 0
        self.receiveMsg_ResumeReading(ResumeReading(), sender)
        if self._away:
            self.receiveMsg_Connect(Connect(time.monotonic_ns()), sender)

    def _went_down(self) -> None:
        self._up = self._paused = False
        self._share.sample.online -= 1

    def _connect_later(self) -> None:
        delay_s = self._backoff.next_s()
        self.wakeupAfter(timedelta(seconds=delay_s), Connect(time.monotonic_ns() + int(delay_s * 1e9)))

    # Sending

    def receiveMsg_Speak(self, message: Speak, sender: Address) -> None:
        sample = self._share.sample
        if not self._up or self._paused:
            if not (self._away or self._paused):
                sample.planned += 1
                sample.failed += 1
                sample.count_error("not connected when it was time to send")
            return
        sample.planned += 1
        sample.sent += 1
        sample.in_flight += 1
        self._count += 1
        client_msg_id = self._share.population.client_msg_id(self._place, self._count, message.planned_ns)
        raw = new_message(
            send_id=self._user_id,
            platform_id=self._platform_id,
            recv_id=message.destination.recv_id,
            group_id=message.destination.group_id,
            content=_text(client_msg_id, message.payload_bytes),
            client_msg_id=client_msg_id,
            options=None if message.stored else UNSTORED,
        )
        self._waiting[client_msg_id] = message, raw.SerializeToString()
        self._put(client_msg_id)

    def _put(self, client_msg_id: str) -> None:
        """Send a message to the server, for the first time or again."""
        speak, request = self._waiting[client_msg_id]

        def done(answer: asyncio.Future[bytes]) -> None:
            problem = answer.exception()
            data = b"" if problem is not None else answer.result()
            self._tell_self(SendDone(time.monotonic_ns(), client_msg_id, data, problem))

        now, conversation_id = time.monotonic_ns(), speak.destination.conversation_id
        self._share.recorder.record(
            events.SendStarted(now, self._in_history, conversation_id, client_msg_id, speak.stored)
        )
        try:
            self._device.post(RequestId.SEND_MESSAGE, request).add_done_callback(done)
        except ClientError as problem:
            self._tell_self(SendDone(now, client_msg_id, b"", problem))

    def receiveMsg_SendDone(self, message: SendDone, sender: Address) -> None:
        if message.client_msg_id not in self._waiting:
            return
        speak, _ = self._waiting[message.client_msg_id]
        problem = message.problem
        if problem is None:
            try:
                answer = msg_pb2.SendMsgResp.FromString(message.answer)
            except DecodeError as unreadable:
                problem = unreadable
            else:
                self._acked(message, speak, answer)
        if problem is not None:
            lost = isinstance(problem, ConnectionLost | KickedOffline)
            if lost and self._resend and speak.stored:
                if self._up:  # The device has already reconnected.
                    self._put(message.client_msg_id)
                else:
                    self._to_resend.append(message.client_msg_id)
                return
            self._failed(message, speak, problem, lost=lost)
        del self._waiting[message.client_msg_id]
        self._received_early.discard(message.client_msg_id)
        self._share.sample.in_flight -= 1
        self._think()

    def _acked(self, message: SendDone, speak: Speak, answer: msg_pb2.SendMsgResp) -> None:
        share = self._share
        share.sample.acked += 1
        if speak.stored and message.client_msg_id not in self._received_early:
            self._unseen.add(message.client_msg_id)
            share.sample.unseen += 1
        if speak.planned_ns >= share.measured_from_ns and not self._slow:
            share.sample.ack.record_ns(message.at - speak.planned_ns)
        share.recorder.record(
            events.SendAcked(
                message.at,
                self._in_history,
                speak.destination.conversation_id,
                message.client_msg_id,
                answer.serverMsgID,
                answer.sendTime,
            )
        )

    def _failed(self, message: SendDone, speak: Speak, problem: BaseException, *, lost: bool) -> None:
        sample = self._share.sample
        if lost and self._away:
            sample.sent -= 1
            sample.planned -= 1
        else:
            sample.failed += 1
            sample.count_error(f"send: {_reason(problem)}")
        code = problem.code if isinstance(problem, Refused) else 0
        conversation_id = speak.destination.conversation_id
        self._share.recorder.record(
            events.SendFailed(message.at, self._in_history, conversation_id, message.client_msg_id, code)
        )

    # The closed loop

    def receiveMsg_Talk(self, message: Talk, sender: Address) -> None:
        if not self._talk_until_ns:
            self._talk_until_ns = message.until_ns
            self._think()

    def _think(self) -> None:
        if not self._talk_until_ns:
            return
        rng = self._share.rng
        wait_s = rng.uniform(*self._share.scenario.pace.think_s)
        planned_ns = time.monotonic_ns() + int(wait_s * 1e9)
        speak = self._choose(planned_ns) if planned_ns < self._talk_until_ns else None
        if speak is not None:
            self.wakeupAfter(timedelta(seconds=wait_s), speak)

    def _choose(self, planned_ns: int) -> Speak | None:
        rng, talks = self._share.rng, self._share.scenario.talks
        if not talks:
            return None
        (talk,) = rng.choices(range(len(talks)), [step.weight for step in talks])
        destination = self._share.population.destination(talk, self._user, rng)
        if destination is None:
            return None
        return Speak(planned_ns, destination, rng.randint(*talks[talk].payload_bytes), talks[talk].stored)

    # Receiving

    def receiveMsg_Arrived(self, message: Arrived, sender: Address) -> None:
        share, sample, at = self._share, self._share.sample, message.at
        members, record, planned_ns_of = share.population.members, share.recorder.record, share.population.planned_ns_of
        for conversation_id, raw in message.arrivals:
            if conversation_id not in members:
                continue
            client_msg_id = raw.clientMsgID
            planned_ns = planned_ns_of(client_msg_id)
            record(
                events.MessageReceived(
                    at,
                    self._in_history,
                    conversation_id,
                    raw.seq,
                    client_msg_id,
                    raw.serverMsgID,
                    raw.sendID,
                    raw.sendTime,
                    message.pulled,
                    planned_ns < 0,
                )
            )
            if planned_ns < 0:
                continue
            if client_msg_id in self._unseen:
                self._unseen.discard(client_msg_id)
                sample.unseen -= 1
            elif client_msg_id in self._waiting:
                self._received_early.add(client_msg_id)
            sample.received += 1
            if message.pulled:
                sample.pulled += 1
            elif planned_ns >= share.measured_from_ns and not self._slow:
                sample.delivery.record_ns(at - planned_ns)


def _text(client_msg_id: str, payload_bytes: int) -> bytes:
    """The content of a text message of about `payload_bytes`, different for each message."""
    filler = f"{client_msg_id} " * (payload_bytes // (len(client_msg_id) + 1) + 1)
    return msgspec.json.encode({"content": filler[:payload_bytes]})


def _reason(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    # A part of the server's text, which may be long, and says why it refused.
    return printable(str(problem)[:_REASON_LIMIT]) or type(problem).__name__
