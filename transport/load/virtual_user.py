"""A virtual user's device: logs in, sends when told, notes what comes, loses its connection and finds it again.

What it does and sees goes to the journal in the order of its happening; what it measures goes to the tally.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from greenroom.actors.runtime.entity import Entity
from greenroom.transport.load.judge.events import Acked, Begun, Failed, Received, Sent
from greenroom.transport.load.user_messages import Connect, ResumeReading, Speak

if TYPE_CHECKING:
    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address
    from greenroom.transport.load.stage import Stage
    from greenroom.transport.load.user_messages import (
        Answered,
        Delivered,
        Drop,
        End,
        Lost,
        Opened,
        OpenFailed,
        PauseReading,
        Talk,
        Unanswered,
    )

__all__ = ["VirtualUser"]

BACKOFF_STEPS = 5


class Waiting:
    """A message without an answer yet."""

    __slots__ = ("planned_ns", "speak")

    def __init__(self, planned_ns: int, speak: Speak) -> None:
        self.planned_ns = planned_ns
        self.speak = speak


class VirtualUser(Entity):
    """One device. Its address's id is its place in the population.

    Every message that was sent gets one Acked or one Failed in the journal, unless the run ends before.
    """

    stash_limit = 100_000

    def __init__(self, stage: Stage, place: int) -> None:
        super().__init__()
        self._stage = stage
        self._place = place
        self._name = stage.population.devices[place]
        self._device_name = self._name.text
        self._count = 0
        self._waiting: dict[str, Waiting] = {}
        self._to_resend: list[str] = []
        self._connect_planned_ns = 0
        self._attempts = 0
        self._began = False
        self._up = False
        self._away = False
        """Offline on purpose: nothing is sent, and that is no error."""
        self._paused = False
        self._slow = False
        """Reads late by design: it is not measured."""
        self._resend = stage.scenario.client.resend
        self._talk_until_ns = 0

    def on_start(self) -> None:
        address, base = self.myAddress, self.runtime
        self._device = self._stage.devices.make(
            self._name, self._stage.scenario.client, lambda message: base.tell(address, message)
        )

    def on_stop(self) -> None:
        self._device.close()

    def on_crash(self, error: BaseException) -> None:
        self._stage.tally.errors[f"the harness itself failed: {error!r}"] += 1
        self._device.close()

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.send(self.myAddress, message.payload)

    # The connection

    def receiveMsg_Connect(self, message: Connect, sender: Address) -> None:
        if self._up or self._connect_planned_ns:
            return
        if not self._began:
            self._began = True
            self._stage.journal.record(Begun(self._stage.clock(), self._device_name, self._name.user_id))
        self._connect_planned_ns = message.planned_ns
        self._device.open()

    def receiveMsg_Opened(self, message: Opened, sender: Address) -> None:
        tally = self._stage.tally
        tally.login.record_ns(message.at - self._connect_planned_ns)
        tally.counts["logins"] += 1
        tally.online += 1
        self._connect_planned_ns = self._attempts = 0
        self._up = True
        self._away = False
        again, self._to_resend = self._to_resend, []
        for client_msg_id in again:
            self._put(client_msg_id, self._waiting[client_msg_id].speak, again=True)

    def receiveMsg_OpenFailed(self, message: OpenFailed, sender: Address) -> None:
        tally = self._stage.tally
        tally.counts["login_failures"] += 1
        tally.errors[message.reason] += 1
        self._connect_planned_ns = 0
        self._away = False
        if not message.final:
            self._connect_later()

    def receiveMsg_Lost(self, message: Lost, sender: Address) -> None:
        if self._up:
            self._resend = self._stage.scenario.client.resend
            self._went_down()
            self._stage.tally.counts["lost"] += 1
            self._stage.tally.errors[message.reason] += 1
            self._connect_later()

    def receiveMsg_Drop(self, message: Drop, sender: Address) -> None:
        if not self._up:
            return
        self._resend = message.resend
        self._away = True
        self._went_down()
        self._device.drop(half_open=message.half_open)
        if message.back_after_s >= 0:
            back_ns = message.planned_ns + int(message.back_after_s * 1e9)
            wait_s = max(0.0, (back_ns - self._stage.clock()) / 1e9)
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
        """The load is over: come back, and read."""
        self._talk_until_ns = 0
        self.receiveMsg_ResumeReading(ResumeReading(), sender)
        if self._away:
            self.receiveMsg_Connect(Connect(self._stage.clock()), sender)

    def _went_down(self) -> None:
        self._up = self._paused = False
        self._stage.tally.online -= 1

    def _connect_later(self) -> None:
        base_s = self._stage.scenario.client.reconnect_base_s
        delay_s = base_s * 2 ** min(self._attempts, BACKOFF_STEPS - 1) * self._stage.rng.uniform(0.5, 1.0)
        self._attempts += 1
        self.wakeupAfter(timedelta(seconds=delay_s), Connect(self._stage.clock() + int(delay_s * 1e9)))

    # Sending

    def receiveMsg_Speak(self, message: Speak, sender: Address) -> None:
        stage = self._stage
        stage.tally.counts["planned"] += 1
        if not self._up or self._paused:
            if self._away or self._paused:
                stage.tally.counts["planned"] -= 1
            else:
                stage.tally.counts["failed"] += 1
                stage.tally.errors["not connected when it was time to send"] += 1
            return
        self._count += 1
        client_msg_id = f"{stage.run}-{self._place:x}-{self._count:x}-{message.planned_ns:x}"
        self._waiting[client_msg_id] = Waiting(message.planned_ns, message)
        stage.tally.counts["sent"] += 1
        stage.tally.in_flight += 1
        self._put(client_msg_id, message, again=False)

    def receiveMsg_Answered(self, message: Answered, sender: Address) -> None:
        waiting = self._waiting.pop(message.client_msg_id, None)
        if waiting is None:
            return
        stage = self._stage
        stage.tally.in_flight -= 1
        stage.tally.sent_and_acked(0 if self._slow else waiting.planned_ns, message.at)
        stage.journal.record(
            Acked(
                message.at,
                self._device_name,
                waiting.speak.target.conversation_id,
                message.client_msg_id,
                message.server_msg_id,
                message.send_time,
            )
        )
        self._think()

    def receiveMsg_Unanswered(self, message: Unanswered, sender: Address) -> None:
        waiting = self._waiting.get(message.client_msg_id)
        if waiting is None:
            return
        if message.lost and self._resend and waiting.speak.stored:
            self._to_resend.append(message.client_msg_id)
            if self._up:  # The news of the loss came after that of the new connection.
                self._to_resend.pop()
                self._put(message.client_msg_id, waiting.speak, again=True)
            return
        del self._waiting[message.client_msg_id]
        stage = self._stage
        stage.tally.in_flight -= 1
        if message.lost and self._away:
            stage.tally.counts["sent"] -= 1
            stage.tally.counts["planned"] -= 1
        else:
            stage.tally.counts["failed"] += 1
            stage.tally.errors[message.reason] += 1
        stage.journal.record(
            Failed(
                message.at,
                self._device_name,
                waiting.speak.target.conversation_id,
                message.client_msg_id,
                message.code,
            )
        )
        self._think()

    def _put(self, client_msg_id: str, speak: Speak, *, again: bool) -> None:
        target = speak.target
        self._stage.journal.record(
            Sent(self._stage.clock(), self._device_name, target.conversation_id, client_msg_id, speak.stored)
        )
        self._device.send(
            client_msg_id,
            recv_id=target.recv_id,
            group_id=target.group_id,
            payload_bytes=speak.payload_bytes,
            stored=speak.stored,
            again=again,
        )

    # The closed loop

    def receiveMsg_Talk(self, message: Talk, sender: Address) -> None:
        if not self._talk_until_ns:
            self._talk_until_ns = message.until_ns
            self._think()

    def _think(self) -> None:
        if self._talk_until_ns:
            stage = self._stage
            wait_s = stage.rng.uniform(*stage.scenario.pace.think_s)
            planned_ns = stage.clock() + int(wait_s * 1e9)
            speak = self._choose(planned_ns) if planned_ns < self._talk_until_ns else None
            if speak is not None:
                self.wakeupAfter(timedelta(seconds=wait_s), speak)

    def _choose(self, planned_ns: int) -> Speak | None:
        stage = self._stage
        steps = stage.scenario.talks
        if not steps:
            return None
        (place,) = stage.rng.choices(range(len(steps)), [step.weight for step in steps])
        target = stage.population.target(place, self._name.user, stage.rng)
        if target is None:
            return None
        return Speak(planned_ns, target, stage.rng.randint(*steps[place].payload_bytes), steps[place].stored)

    # Receiving

    def receiveMsg_Delivered(self, message: Delivered, sender: Address) -> None:
        stage = self._stage
        members, record, tally = stage.population.members, stage.journal.record, stage.tally
        at, device = message.at, self._device_name
        for one in message.messages:
            if one.conversation_id not in members:
                continue
            planned_ns = stage.planned_ns_of(one.client_msg_id)
            record(
                Received(
                    at,
                    device,
                    one.conversation_id,
                    one.seq,
                    one.client_msg_id,
                    one.server_msg_id,
                    one.send_id,
                    one.send_time,
                    one.pulled,
                    planned_ns < 0,
                )
            )
            if planned_ns >= 0:
                tally.delivered(0 if self._slow else planned_ns, at, pulled=one.pulled)
