"""The promises once more, in memory and in the plainest words: what the streaming judge is compared with.

Shares nothing with it but the events. Gives the set of (kind, conversation, device, user, seq, client_msg_id).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    HistoryPart,
    MarkedRead,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    SendAcked,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StoreGrowing,
    StorePulled,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Key", "naive_judge"]

UNSETTLED = {
    "acked_not_stored", "acked_never_seen", "lost", "lost_unacked", "received_not_stored", "seq_gap", "max_seq_low",
}  # fmt: skip
Key = tuple[str, str, str, str, int, str]
END = 10**18


def naive_judge(events: Iterable[Event]) -> set[Key]:
    told = list(events)
    found = _Naive(told).found
    if any(isinstance(event, StoreGrowing) for event in told):
        return {one for one in found if one[0] not in UNSETTLED}
    return found


class _Naive:
    def __init__(self, events: list[Event]) -> None:
        self.found: set[Key] = set()
        self.devices: dict[str, DeviceStarted] = {}
        for event in events:
            if isinstance(event, DeviceStarted):
                self.devices.setdefault(event.device, event)
        self.drained = {event.device for event in events if isinstance(event, DeviceDrained)} & set(self.devices)
        self.drain_end = max((event.at for event in events if isinstance(event, DeviceDrained)), default=END)
        conversations: dict[str, list[Any]] = defaultdict(list)
        for event in events:
            if not isinstance(event, DeviceStarted | DeviceDrained | StoreGrowing | HistoryPart):
                conversations[event.conversation_id].append(event)
        for name, own in conversations.items():
            self.name = name
            self.conversation(own)

    def say(self, kind: str, *, device: str = "", user: str = "", seq: int = 0, msg: str = "") -> None:
        self.found.add((kind, self.name, device, user, seq, msg))

    def conversation(self, events: list[Any]) -> None:
        def of(kind: type) -> list[Any]:
            return [event for event in events if isinstance(event, kind)]

        self.sent = of(SendStarted)
        self.acked = of(SendAcked)
        self.received = of(MessageReceived)
        self.store = of(StoredSeen)
        self.answers = of(SeqsAnswered)
        self.marks = of(MarkedRead)
        self.pulled = bool(self.store or of(StorePulled))
        self.first_sent: dict[str, SendStarted] = {}
        for event in self.sent:
            self.first_sent.setdefault(event.client_msg_id, event)
        self.spans = self.memberships(of(MemberJoined), of(MemberLeft))
        self.slots: dict[int, Any] = {}
        for event in [*self.store, *self.received]:
            if event.seq > 0:
                self.slots.setdefault(event.seq, event)
        self.in_store = {event.seq for event in self.store}
        self.messages()
        self.seqs()
        for device in {event.device for event in self.received} | set(self.devices):
            self.device(device, [event for event in self.received if event.device == device])
        self.newest()
        for user in {event.user_id for event in self.answers}:
            self.reader(user)

    def memberships(
        self, joins: list[MemberJoined], leaves: list[MemberLeft]
    ) -> dict[str, list[tuple[int, int, int, int]]]:
        spans = {}
        for user in {join.user_id for join in joins} | {leave.user_id for leave in leaves}:
            begins = sorted((j.from_seq, j.maybe_from_seq) for j in joins if j.user_id == user)
            ends = sorted((e.last_seq, e.maybe_last_seq) for e in leaves if e.user_id == user)
            if len(ends) > len(begins):
                begins = [(0, -1), *begins]
            ends += [(END, -1)] * (len(begins) - len(ends))
            spans[user] = [
                (begin, end, begin if maybe < 0 else min(begin, maybe), max(end, maybe_end))
                for (begin, maybe), (end, maybe_end) in zip(begins, ends, strict=False)
            ]
        return spans

    def messages(self) -> None:
        claims = [*self.store, *self.received]
        for msg in {event.client_msg_id for event in self.acked}:
            acks = [event for event in self.acked if event.client_msg_id == msg]
            sent = self.first_sent.get(msg)
            places = sorted(seq for seq, slot in self.slots.items() if slot.client_msg_id == msg)
            if len({(event.server_msg_id, event.send_time) for event in acks}) > 1:
                self.say("answers_differ", msg=msg)
            elif places:
                slot = self.slots[places[0]]
                if (slot.server_msg_id, slot.send_time) != (acks[0].server_msg_id, acks[0].send_time):
                    self.say("ack_differs", seq=places[0], msg=msg)
            if self.pulled:
                if (sent is None or sent.stored) and msg not in {event.client_msg_id for event in self.store}:
                    self.say("acked_not_stored", msg=msg)
            elif (
                sent is not None
                and sent.stored
                and msg not in {event.client_msg_id for event in claims}
                and any(self.held_throughout(name, sent) for name in self.drained)
            ):
                self.say("acked_never_seen", msg=msg)
        for event in claims:
            msg, seq = event.client_msg_id, event.seq
            slot = self.slots.get(seq)
            if slot is not None and slot.client_msg_id != msg:
                self.say("seq_reused", seq=seq, msg=msg)
            elif slot is not None and (
                (slot.server_msg_id, slot.send_id, slot.send_time)
                != (event.server_msg_id, event.send_id, event.send_time)
            ):
                self.say("differs", seq=seq, msg=msg)
        ours = [event for event in claims if not event.foreign]
        for msg in {event.client_msg_id for event in ours}:
            same = [event for event in ours if event.client_msg_id == msg]
            sent = self.first_sent.get(msg)
            if sent is None:
                self.say("phantom", seq=min(event.seq for event in same), msg=msg)
                continue
            begun = self.devices.get(sent.device)
            wrong = [event.seq for event in same if begun is not None and event.send_id != begun.user_id]
            if wrong:
                self.say("wrong_sender", seq=min(wrong), msg=msg)
            wrong = [event.seq for event in same if (event.seq > 0) != sent.stored]
            if wrong:
                self.say("wrong_storage", seq=max(wrong), msg=msg)

    def held_throughout(self, device: str, sent: SendStarted) -> bool:
        begun = self.devices[device]
        whole = any(begin <= 1 and end == END for begin, end, _, _ in self.spans.get(begun.user_id, []))
        return whole and self.holds(begun, sent)

    def holds(self, begun: DeviceStarted, sent: SendStarted) -> bool:
        hears = begun.hears_itself or sent.device != begun.device
        return hears and (begun.from_start or sent.at > begun.at)

    def seqs(self) -> None:
        before = None
        for seq in sorted(self.slots):
            slot = self.slots[seq]
            if before is not None and slot.send_time < self.slots[before].send_time:
                self.say("time_back", seq=seq, msg=slot.client_msg_id)
            if self.pulled and seq - (before or 0) > 1:
                self.say("seq_gap", seq=(before or 0) + 1)
            if self.pulled and seq not in self.in_store:
                self.say("received_not_stored", seq=seq, msg=slot.client_msg_id)
            before = seq
        for msg in {slot.client_msg_id for slot in self.slots.values()} - {""}:
            places = [seq for seq, slot in self.slots.items() if slot.client_msg_id == msg]
            if len(places) > 1:
                self.say("stored_twice", seq=max(places), msg=msg)

    def device(self, device: str, received: list[MessageReceived]) -> None:
        got: dict[int, str] = {}
        for number, event in enumerate(received):
            repeats = [
                other
                for other in received[:number]
                if other.client_msg_id == event.client_msg_id and other.seq == event.seq
            ]
            if repeats and event.seq > 0:
                self.say("received_twice", device=device, seq=event.seq, msg=event.client_msg_id)
            elif repeats and event.client_msg_id:
                self.say("unstored_twice", device=device, msg=event.client_msg_id)
            if event.seq > 0:
                got.setdefault(event.seq, event.client_msg_id)
        arrival = list(got)
        for lower, seq in zip(sorted(got), sorted(got)[1:], strict=False):
            if arrival.index(seq) < arrival.index(lower):
                self.say("out_of_order", device=device, seq=seq, msg=got[seq])
        begun = self.devices.get(device)
        if begun is None or not self.spans:
            return
        user = begun.user_id
        spans = self.spans.get(user)
        if spans is None:
            for event in received:
                msg = event.client_msg_id if event.seq <= 0 else self.slots[event.seq].client_msg_id
                self.say("received_by_stranger", device=device, user=user, seq=event.seq, msg=msg)
            return
        for seq in got:
            if not any(begin <= seq <= end for _, _, begin, end in spans):
                msg = self.slots[seq].client_msg_id
                self.say("received_outside_membership", device=device, user=user, seq=seq, msg=msg)
        if device not in self.drained:
            return
        for seq, slot in self.slots.items():
            sent = self.first_sent.get(slot.client_msg_id)
            required = (
                sent is not None
                and sent.stored
                and not slot.foreign
                and (seq in self.in_store or not self.pulled)
                and any(begin <= seq <= end for begin, end, _, _ in spans)
            )
            if required and sent is not None and self.holds(begun, sent) and seq not in got:
                acked = any(event.client_msg_id == slot.client_msg_id for event in self.acked)
                kind = "lost" if acked else "lost_unacked"
                self.say(kind, device=device, user=user, seq=seq, msg=slot.client_msg_id)

    def newest(self) -> None:
        newest = max(self.slots, default=0)
        places: dict[str, list[int]] = defaultdict(list)
        for seq, slot in self.slots.items():
            places[slot.client_msg_id].append(seq)
        for answer in self.answers:
            known = max(
                (seq for ack in self.acked if ack.at < answer.at for seq in places[ack.client_msg_id]), default=0
            )
            if self.pulled and answer.at >= self.drain_end:
                known = max([known, *(seq for seq in self.in_store if seq > 0)])
            if self.spans:
                entitled = [
                    min(end, known) for begin, end, _, _ in self.spans.get(answer.user_id, []) if begin <= known
                ]
                known = min(known, max(entitled, default=0))
            if answer.max_seq < known:
                self.say("max_seq_low", user=answer.user_id, seq=answer.max_seq)
            elif self.pulled and answer.max_seq > newest:
                self.say("max_seq_high", user=answer.user_id, seq=answer.max_seq)

    def reader(self, user: str) -> None:
        answers = [answer for answer in self.answers if answer.user_id == user]
        marks = [mark for mark in self.marks if mark.user_id == user]
        for answer in answers:
            before = [
                other
                for other in answers
                if other is not answer
                and (other.answered_at or other.at) <= answer.at
                and (other.at, answers.index(other)) < (answer.at, answers.index(answer))
            ]
            agreed = max((mark.seq for mark in marks if 0 < mark.answered_at < answer.at), default=0)
            came = answer.answered_at or answer.at
            causes = {mark.seq for mark in marks if mark.at <= came} | {
                seq for seq, slot in self.slots.items() if slot.send_id == user
            }
            seq = answer.read_seq
            if any(answer.max_seq < other.max_seq for other in before):
                self.say("max_seq_back", user=user, seq=answer.max_seq)
            if seq > answer.max_seq:
                self.say("read_past_max", user=user, seq=seq)
            if any(seq < other.read_seq for other in before):
                self.say("read_back", user=user, seq=seq)
            elif seq < agreed or (marks and seq > agreed and seq not in causes):
                self.say("read_wrong", user=user, seq=seq)
