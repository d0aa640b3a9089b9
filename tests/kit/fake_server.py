"""A small chat run in memory, told as a history: server, clients and their network, from a seed.

With one of BUGS it makes this mistake once; `planted` says whether the run reached the place of the bug.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    MarkedRead,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    SendAcked,
    SendFailed,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StorePulled,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BUGS", "FakeServer", "interleaved"]

BUGS = {
    "acks before the commit, and loses it": "acked_not_stored",
    "loses a push, and the pull has it not": "lost",
    "pushes twice": "received_twice",
    "swaps two messages at one receiver": "out_of_order",
    "skips a seq": "seq_gap",
    "gives a seq twice": "seq_reused",
    "acks a resend with another id": "answers_differ",
    "stores a resend again": "stored_twice",
    "answers a wrong read seq": "read_wrong",
    "lets a read seq go back": "read_back",
    "answers too low a newest seq": "max_seq_low",
    "lets sendTime go back": "time_back",
    "pushes to one who is no member": "received_by_stranger",
    "pushes to one who was kicked": "received_outside_membership",
    "loses it for one device of a user": "lost",
    "loses it for the sender's other device": "lost",
    "pushes another id than it acked": "differs",
    "makes up a message": "phantom",
    "pushes an unstored message twice": "unstored_twice",
    "loses the tail at a restart": "received_not_stored",
}
"""The bugs that can be planted, and the kind of violation for each."""


class Message(NamedTuple):
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int


class Device:
    def __init__(self, name: str, user: str) -> None:
        self.name = name
        self.user = user
        self.online = True
        self.synced: dict[str, int] = {}


class Conversation:
    def __init__(self, name: str) -> None:
        self.name = name
        self.log: dict[int, Message] = {}
        self.top = 0
        self.members: dict[str, int | None] = {}
        """User -> the last seq that they may see; None if they are a member."""
        self.read: dict[str, int] = {}
        self.marked: dict[str, set[int]] = {}
        self.answered_read: dict[str, int] = {}


class FakeServer:
    """`FakeServer(seed, bug=...).run()` returns the events of one run, in the order in which they happened."""

    def __init__(self, seed: int, *, bug: str = "", steps: int = 160) -> None:
        assert not bug or bug in BUGS, bug
        self.random = Random(seed)
        self.bug = bug
        self.planted = False
        self.steps = steps
        self.events: list[Event] = []
        self.now = 1_000
        self.clock = 1_700_000_000_000
        self.count = 0
        self.users = [f"u{number}" for number in range(6)]
        self.devices = [Device(f"{user}/{platform}#0", user) for user in self.users for platform in (2, 5)]
        self.conversations = [
            self._conversation(name, members)
            for name, members in (
                ("si_u0_u1", ["u0", "u1"]),
                ("si_u1_u2", ["u1", "u2"]),
                ("sg_1", ["u0", "u1", "u2", "u3"]),
                ("sg_2", ["u2", "u3", "u4"]),
            )
        ]
        self.hidden: set[tuple[str, str, int]] = set()
        self.reused: list[tuple[str, int, Message]] = []

    def run(self) -> list[Event]:
        for device in self.devices:
            self.events.append(DeviceStarted(self.tick(), device.name, device.user))
        actions = [self.send] * 8 + [self.flush] * 6 + [self.ask, self.mark, self.go, self.go, self.ephemeral]
        actions.append(self.join_or_leave)
        for _ in range(self.steps):
            self.random.choice(actions)()
        self.drain()
        return self.events

    def tick(self) -> int:
        self.now += self.random.randint(1, 1_000)
        return self.now

    def due(self, bug: str) -> bool:
        """Whether to run the bug now: once, and not at the very start."""
        if self.bug != bug or self.planted or len(self.events) < 40 or self.random.random() < 0.3:
            return False
        self.planted = True
        return True

    # Actions of clients.

    def send(self) -> None:
        conversation = self.random.choice(self.conversations)
        members = [user for user, last in conversation.members.items() if last is None]
        device = self.random.choice([one for one in self.devices if one.user in members])
        msg = self.new_id()
        self.events.append(SendStarted(self.tick(), device.name, conversation.name, msg, True))
        fate = self.random.random()
        if fate < 0.05:  # The request is lost.
            self.events.append(SendFailed(self.tick(), device.name, conversation.name, msg, 0))
            return
        if self.due("acks before the commit, and loses it"):
            self.ack(device, conversation, self.message(msg, device.user))
            return
        message = self.commit(conversation, msg, device)
        if fate < 0.1:  # The message is stored, but the ack is lost.
            self.events.append(SendFailed(self.tick(), device.name, conversation.name, msg, 0))
        elif fate < 0.3:  # The ack is lost or late, and the client sends again.
            if fate < 0.2 or self.bug == "acks a resend with another id":
                self.ack(device, conversation, message)
            self.events.append(SendStarted(self.tick(), device.name, conversation.name, msg, True))
            if self.due("acks a resend with another id"):
                message = message._replace(server_msg_id="another")
            elif self.due("stores a resend again"):
                message = self.commit(conversation, msg, device)
            self.ack(device, conversation, message)
        else:
            self.ack(device, conversation, message)

    def ack(self, device: Device, conversation: Conversation, message: Message) -> None:
        ids = (message.client_msg_id, message.server_msg_id)
        self.events.append(SendAcked(self.tick(), device.name, conversation.name, *ids, message.send_time))

    def ephemeral(self) -> None:
        conversation = self.random.choice(self.conversations[:2])
        device = self.random.choice([one for one in self.devices if one.user in conversation.members])
        message = self.message(self.new_id(), device.user)
        self.events.append(SendStarted(self.tick(), device.name, conversation.name, message.client_msg_id, False))
        self.ack(device, conversation, message)
        for other in self.devices:
            if other.user in conversation.members and other.online and self.random.random() < 0.9:
                self.receive(other, conversation, 0, message, pulled=False)
                if self.due("pushes an unstored message twice"):
                    self.receive(other, conversation, 0, message, pulled=False)

    def go(self) -> None:
        device = self.random.choice(self.devices)
        device.online = not device.online
        if device.online:
            self.catch_up(device, pulled=True)

    def flush(self) -> None:
        """Deliver the messages in flight to a device."""
        device = self.random.choice(self.devices)
        if device.online:
            self.catch_up(device, pulled=False)

    def ask(self) -> None:
        conversation = self.random.choice(self.conversations)
        self.ask_about(conversation, self.random.choice(list(conversation.members)))

    def ask_about(self, conversation: Conversation, user: str) -> None:
        asked = self.tick()
        last = conversation.members[user]
        newest = conversation.top if last is None else last
        read = min(conversation.read.get(user, 0), newest)
        own = {seq for seq, message in conversation.log.items() if message.send_id == user}
        marked = conversation.marked.get(user, set())
        wrong = [seq for seq in range(read + 1, newest) if seq not in own | marked]
        if wrong and marked and self.due("answers a wrong read seq"):
            read = wrong[0]
        elif conversation.answered_read.get(user, 0) > 1 and self.due("lets a read seq go back"):
            read = conversation.answered_read[user] - 1
        top_is_acked = newest > 0 and self.is_acked(conversation, conversation.log.get(newest))
        if last is None and top_is_acked and self.due("answers too low a newest seq"):
            newest -= 1
            read = min(read, newest)
        conversation.answered_read[user] = max(conversation.answered_read.get(user, 0), read)
        self.events.append(SeqsAnswered(asked, user, conversation.name, newest, read, self.tick()))

    def is_acked(self, conversation: Conversation, message: Message | None) -> bool:
        return message is not None and any(
            isinstance(event, SendAcked)
            and event.conversation_id == conversation.name
            and event.client_msg_id == message.client_msg_id
            for event in self.events
        )

    def mark(self) -> None:
        conversation = self.random.choice(self.conversations)
        user = self.random.choice([user for user, last in conversation.members.items() if last is None])
        seq = self.random.randint(0, conversation.top)
        asked = self.tick()
        agreed = self.random.random() < 0.8
        conversation.marked.setdefault(user, set()).add(seq)
        if agreed or self.random.random() < 0.5:
            conversation.read[user] = max(conversation.read.get(user, 0), seq)
        self.events.append(MarkedRead(asked, user, conversation.name, seq, self.tick() if agreed else 0))

    def join_or_leave(self) -> None:
        group = self.random.choice(self.conversations[2:])
        user = self.random.choice(self.users[1:4])
        members = [one for one, last in group.members.items() if last is None]
        if user in members:
            if len(members) > 1:
                group.members[user] = group.top
                self.events.append(MemberLeft(group.name, user, group.top))
            return
        # A closed history also hides messages of an earlier membership that their devices have not received yet.
        last = group.members.get(user) or 0
        is_behind = any(one.synced.get(group.name, 0) < last for one in self.devices if one.user == user)
        open_history = is_behind or self.random.random() < 0.5
        if open_history and self.bug == "pushes to one who was kicked":
            return
        group.members[user] = None
        group.read.setdefault(user, 0)
        for device in self.devices:
            if device.user == user:
                before = device.synced.get(group.name, 0)
                device.synced[group.name] = before if open_history else group.top
        self.events.append(MemberJoined(group.name, user, group.top + 1, 0 if open_history else -1))

    def drain(self) -> None:
        for device in self.devices:
            device.online = True
            self.catch_up(device, pulled=True)
        if self.due("loses the tail at a restart"):
            conversation = max(self.conversations, key=lambda one: one.top)
            conversation.log.pop(conversation.top)
            conversation.top -= 1
        for device in self.devices:
            self.events.append(DeviceDrained(self.tick(), device.name))
        for conversation in self.conversations:
            for user in conversation.members:
                self.ask_about(conversation, user)
            for seq, message in conversation.log.items():
                self.events.append(StoredSeen(conversation.name, seq, *message))
            for name, seq, message in self.reused:
                if name == conversation.name:
                    self.events.append(StoredSeen(name, seq, *message))
            self.events.append(StorePulled(conversation.name))

    # Actions of the server.

    def _conversation(self, name: str, members: list[str]) -> Conversation:
        conversation = Conversation(name)
        for user in members:
            conversation.members[user] = None
            self.events.append(MemberJoined(name, user, 0))
        return conversation

    def new_id(self) -> str:
        self.count += 1
        return f"c{self.count}"

    def message(self, msg: str, user: str) -> Message:
        self.clock += self.random.randint(0, 3)
        return Message(msg, f"s{self.random.getrandbits(48):x}", user, self.clock)

    def commit(self, conversation: Conversation, msg: str, sender: Device) -> Message:
        message = self.message(msg, sender.user)
        if conversation.top and self.due("gives a seq twice"):
            self.reused.append((conversation.name, conversation.top, message))
            return message
        if self.due("skips a seq"):
            conversation.top += 1
        if self.due("makes up a message"):
            conversation.top += 1
            conversation.log[conversation.top] = message._replace(
                client_msg_id="made-up", server_msg_id="made-up"
            )
        if conversation.top and self.due("lets sendTime go back"):
            earlier = conversation.log[conversation.top]
            message = message._replace(send_time=earlier.send_time - 1)
        conversation.top += 1
        seq = conversation.top
        conversation.log[seq] = message
        if sender.user in conversation.members:
            conversation.read[sender.user] = seq
        self.misdeliver(conversation, seq, message, sender)
        return message

    def misdeliver(self, conversation: Conversation, seq: int, message: Message, sender: Device) -> None:
        peers = [
            user for user, last in conversation.members.items() if last is None and user != sender.user
        ]
        hidden: list[Device] = []
        if peers and self.due("loses a push, and the pull has it not"):
            hidden = [device for device in self.devices if device.user == peers[0]]
        elif peers and self.due("loses it for one device of a user"):
            hidden = [device for device in self.devices if device.user == peers[-1]][:1]
        elif self.due("loses it for the sender's other device"):
            hidden = [one for one in self.devices if one.user == sender.user and one is not sender]
        self.hidden |= {(device.name, conversation.name, seq) for device in hidden}
        gone = [user for user, last in conversation.members.items() if last is not None]
        if gone and self.due("pushes to one who was kicked"):
            victim = next(device for device in self.devices if device.user == gone[0])
            self.receive(victim, conversation, seq, message, pulled=False)
        if self.due("pushes to one who is no member"):
            self.receive(self.devices[-1], conversation, seq, message, pulled=False)

    def catch_up(self, device: Device, *, pulled: bool) -> None:
        """Deliver to a device all messages that it has not received yet, in order."""
        for conversation in self.conversations:
            if device.user not in conversation.members:
                continue
            last = conversation.members[device.user]
            end = conversation.top if last is None else last
            wanted = [
                seq
                for seq in range(device.synced.get(conversation.name, 0) + 1, end + 1)
                if seq in conversation.log and (device.name, conversation.name, seq) not in self.hidden
            ]
            if len(wanted) > 1 and self.due("swaps two messages at one receiver"):
                wanted[:2] = reversed(wanted[:2])
            for seq in wanted:
                message = conversation.log[seq]
                if self.due("pushes another id than it acked"):
                    message = message._replace(server_msg_id="another")
                self.receive(device, conversation, seq, message, pulled=pulled)
                if self.due("pushes twice"):
                    self.receive(device, conversation, seq, message, pulled=pulled)
            device.synced[conversation.name] = max(device.synced.get(conversation.name, 0), end)

    def receive(
        self, device: Device, conversation: Conversation, seq: int, message: Message, *, pulled: bool
    ) -> None:
        self.events.append(MessageReceived(self.tick(), device.name, conversation.name, seq, *message, pulled))


def interleaved(events: Iterable[Event], seed: int) -> list[Event]:
    """The same history as if a separate process had recorded each device: the events of one device keep their order,
    those of different devices are in any order."""
    random = Random(seed)
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(getattr(event, "device", "other"), []).append(event)
    mixed: list[Event] = []
    rest = [iter(stream) for stream in streams.values()]
    while rest:
        stream = random.choice(rest)
        for _ in range(random.randint(1, 20)):
            following = next(stream, None)
            if following is None:
                rest.remove(stream)
                break
            mixed.append(following)
    return mixed
